"""The parts of the bench; `benches/run` puts them together."""

DATABASE = "bench"
USER = "bench@example.com"  # the role of direct connections and poolers, and the principal at pgusher
PASSWORD = "bench"
SCALE = 10  # pgbench's: a million accounts
ROWS = 100000 * SCALE
MODES = ("simple", "extended", "prepared")

# The same million rows under different protection.
PLAIN, FILTERED, MASKED, NATIVE, BARRIER = "pgbench_accounts", "accounts_filtered", "accounts_masked", "accounts_native", "accounts_barrier"


def in_order(names):
    """Targets as tables show them: direct, the relay, poolers, ourselves, and what stands for us without a proxy."""
    ranks = ("direct$", "relay", "PgBouncer", "", "pgusher", "direct, ")
    return sorted(dict.fromkeys(names), key=lambda name: next((n for n, rank in enumerate(ranks) if rank and f"{name}$".startswith(rank)), ranks.index("")))
