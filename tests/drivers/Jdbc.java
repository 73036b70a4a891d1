import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.*;
import java.util.*;
import java.util.concurrent.atomic.AtomicReference;
import org.postgresql.PGConnection;
import org.postgresql.PGStatement;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/** pgjdbc's manners, each a check of its own. The environment tells where the proxy, the upstream and the people are. */
public class Jdbc {
    interface Check {
        void run() throws Exception;
    }

    static final String LONG = "SELECT count(*) FROM generate_series(1, 1000000) AS a, generate_series(1, 1000000) AS b";
    static final Map<String, Check> CHECKS = new LinkedHashMap<>();

    static {
        CHECKS.put("a_statement_prepared_on_its_first_use_gives_own_rows_ten_times", Jdbc::preparedTenTimes);
        CHECKS.put("values_in_binary_are_the_truth_or_the_mask", Jdbc::binaryTransfer);
        CHECKS.put("masks_hold_for_analysts_and_fall_for_hr", Jdbc::masks);
        CHECKS.put("a_batch_of_inserts_arrives_whole", () -> batch(false));
        CHECKS.put("a_batch_rewritten_into_one_insert_arrives_whole", () -> batch(true));
        CHECKS.put("a_batch_with_a_row_that_the_filter_hides_is_refused", Jdbc::batchBeyondFilter);
        CHECKS.put("a_fetch_size_brings_all_own_rows_in_pieces", Jdbc::fetchSize);
        CHECKS.put("a_statement_is_cancelled_from_another_thread", Jdbc::cancel);
        CHECKS.put("a_query_timeout_ends_the_statement_and_not_the_session", Jdbc::queryTimeout);
        CHECKS.put("metadata_lists_tables_and_views", () -> sameMetadata(m -> m.getTables(null, "public", "%", null)));
        CHECKS.put("metadata_lists_columns", () -> sameMetadata(m -> m.getColumns(null, "public", "%", "%")));
        CHECKS.put("metadata_lists_primary_keys", () -> sameMetadata(m -> m.getPrimaryKeys(null, "public", "orders")));
        CHECKS.put("metadata_lists_imported_keys", () -> sameMetadata(m -> m.getImportedKeys(null, "public", "orders")));
        CHECKS.put("metadata_lists_exported_keys", () -> sameMetadata(m -> m.getExportedKeys(null, "public", "regions")));
        CHECKS.put("metadata_lists_cross_references", () -> sameMetadata(m -> m.getCrossReference(null, "public", "regions", null, "public", "orders")));
        CHECKS.put("metadata_lists_indexes", Jdbc::indexes);
        CHECKS.put("metadata_lists_types", Jdbc::typeInfo);
        CHECKS.put("metadata_lists_schemas", Jdbc::schemas);
        CHECKS.put("metadata_lists_best_row_identifiers", () -> sameMetadata(m -> m.getBestRowIdentifier(null, "public", "orders", 2, true)));
        CHECKS.put("metadata_lists_functions", () -> sameMetadata(m -> m.getFunctions(null, "public", "pick")));
        CHECKS.put("metadata_answers_every_other_question", Jdbc::otherMetadata);
        CHECKS.put("result_metadata_has_names_and_types", Jdbc::resultMetadata);
        CHECKS.put("generated_keys_come_back", Jdbc::generatedKeys);
        CHECKS.put("copy_out_gives_own_rows", Jdbc::copyOut);
        CHECKS.put("copy_in_stores_rows", Jdbc::copyIn);
        CHECKS.put("copy_in_respects_the_row_filter", Jdbc::copyInBeyondFilter);
        CHECKS.put("a_savepoint_survives_a_refusal", Jdbc::savepoints);
        CHECKS.put("autosave_keeps_a_transaction_alive_after_a_refusal", Jdbc::autosave);
        CHECKS.put("errors_carry_their_sqlstate_detail_and_hint", Jdbc::errors);
        CHECKS.put("a_wrong_token_is_a_wrong_password", Jdbc::wrongToken);
        CHECKS.put("an_issuers_jwt_is_a_password", Jdbc::jwt);
        CHECKS.put("a_password_is_shown_by_scram", Jdbc::scram);
        CHECKS.put("a_read_only_connection_refuses_writes", Jdbc::readOnly);
        CHECKS.put("the_isolation_level_holds", Jdbc::isolation);
        CHECKS.put("the_application_name_arrives", Jdbc::applicationName);
        CHECKS.put("the_schema_can_be_set", Jdbc::schema);
        CHECKS.put("the_user_is_the_principal", Jdbc::user);
        CHECKS.put("arrays_and_dates_pass_as_parameters", Jdbc::parameters);
        CHECKS.put("several_statements_give_several_results", Jdbc::severalResults);
        CHECKS.put("an_updatable_result_set_updates_own_rows", Jdbc::updatable);
        CHECKS.put("the_simple_query_mode_gives_own_rows", () -> queryMode("simple"));
        CHECKS.put("the_extended_for_prepared_mode_gives_own_rows", () -> queryMode("extendedForPrepared"));
        CHECKS.put("the_mode_that_caches_everything_gives_own_rows", () -> queryMode("extendedCacheEverything"));
        CHECKS.put("a_call_of_a_function_returns_its_value", Jdbc::call);
        CHECKS.put("a_cursor_that_a_function_returns_gives_own_rows", Jdbc::functionsCursor);
        CHECKS.put("a_connection_is_valid_until_it_is_closed", Jdbc::valid);
        CHECKS.put("an_update_counts_own_rows_only", Jdbc::update);
    }

    public static void main(String[] arguments) {
        for (Map.Entry<String, Check> check : CHECKS.entrySet()) {
            if (arguments.length > 0 && !Arrays.asList(arguments).contains(check.getKey())) continue;
            try {
                check.getValue().run();
                System.out.println("ok " + check.getKey());
            } catch (Throwable thrown) {
                System.out.println("not ok " + check.getKey());
                for (Throwable t = thrown; t != null; t = t.getCause()) {
                    System.out.println("  " + t.toString().replace("\n", "\n  "));
                    if (t instanceof SQLException) System.out.println("  SQLSTATE " + ((SQLException) t).getSQLState());
                    for (StackTraceElement at : t.getStackTrace()) {
                        if (at.getClassName().equals("Jdbc")) System.out.println("    at " + at);
                    }
                }
            }
            System.out.flush();
        }
        System.exit(0);
    }

    // Connections.

    static Connection as(String who, String... options) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv(who + "_USER"));
        properties.setProperty("password", System.getenv(who + "_TOKEN"));
        return connect("PGUSHER_PORT", properties, options);
    }

    static Connection truth(String... options) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", "postgres");
        properties.setProperty("password", "postgres");
        return connect("PGUSHER_UPSTREAM_PORT", properties, options);
    }

    static Connection connect(String port, Properties properties, String... options) throws SQLException {
        for (int i = 0; i < options.length; i += 2) properties.setProperty(options[i], options[i + 1]);
        properties.putIfAbsent("loginTimeout", "30");
        properties.putIfAbsent("socketTimeout", "60");
        return DriverManager.getConnection(
            "jdbc:postgresql://" + System.getenv("PGUSHER_HOST") + ":" + System.getenv(port) + "/" + System.getenv("PGUSHER_DATABASE"), properties);
    }

    // Assertions.

    static void equal(Object expected, Object found) {
        if (!Objects.equals(expected, found)) throw new AssertionError("expected " + expected + "\nfound    " + found);
    }

    static void yes(boolean holds, String what) {
        if (!holds) throw new AssertionError(what);
    }

    static SQLException refused(String state, Check check) throws Exception {
        try {
            check.run();
        } catch (SQLException refusal) {
            if (!state.equals(refusal.getSQLState())) throw new AssertionError("SQLSTATE " + state + " was expected, not " + refusal.getSQLState(), refusal);
            return refusal;
        }
        throw new AssertionError("SQLSTATE " + state + " was expected, it went through");
    }

    static List<List<String>> rows(ResultSet results) throws SQLException {
        List<List<String>> rows = new ArrayList<>();
        int columns = results.getMetaData().getColumnCount();
        while (results.next()) {
            List<String> row = new ArrayList<>();
            for (int i = 1; i <= columns; i++) row.add(results.getString(i));
            rows.add(row);
        }
        results.close();
        return rows;
    }

    static List<List<String>> rows(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            return rows(statement.executeQuery(sql));
        }
    }

    static String one(Connection connection, String sql) throws SQLException {
        List<List<String>> rows = rows(connection, sql);
        yes(rows.size() == 1 && rows.get(0).size() == 1, sql + ": one value expected, found " + rows);
        return rows.get(0).get(0);
    }

    static String truth(String sql) throws SQLException {
        try (Connection connection = truth()) {
            return one(connection, sql);
        }
    }

    // Rows and masks.

    static void preparedTenTimes() throws Exception {
        String expected = truth("SELECT count(*) FROM orders WHERE region = 'EMEA' AND amount > 500");
        try (Connection ana = as("ANA", "prepareThreshold", "1"); PreparedStatement count = ana.prepareStatement("SELECT count(*) FROM orders WHERE amount > ?")) {
            for (int i = 0; i < 10; i++) {
                count.setBigDecimal(1, new BigDecimal("500"));
                equal(List.of(List.of(expected)), rows(count.executeQuery()));
                yes(count.unwrap(PGStatement.class).isUseServerPrepare(), "prepared on the server");
            }
            try (PreparedStatement region = ana.prepareStatement("SELECT DISTINCT region FROM orders WHERE region = ANY (?)")) {
                for (int i = 0; i < 3; i++) {
                    region.setArray(1, ana.createArrayOf("text", new String[] {"EMEA", "AMER", "APAC"}));
                    equal(List.of(List.of("EMEA")), rows(region.executeQuery()));
                }
            }
        }
    }

    static void binaryTransfer() throws Exception {
        String sql = "SELECT id, salary, hired_on, ssn FROM employees WHERE id <= ? ORDER BY id";
        try (Connection ana = as("ANA", "prepareThreshold", "-1"); Connection hana = as("HANA", "prepareThreshold", "-1"); Connection direct = truth("prepareThreshold", "-1");
             PreparedStatement analyst = ana.prepareStatement(sql); PreparedStatement hr = hana.prepareStatement(sql); PreparedStatement real = direct.prepareStatement(sql)) {
            for (PreparedStatement statement : List.of(analyst, hr, real)) statement.setInt(1, 50);
            ResultSet masked = analyst.executeQuery(), seen = hr.executeQuery(), truth = real.executeQuery();
            int count = 0;
            while (truth.next()) {
                yes(masked.next() && seen.next(), "as many rows");
                equal(truth.getInt(1), masked.getInt(1));
                equal(truth.getInt(2), seen.getInt(2));
                equal(truth.getDate(3), masked.getDate(3));
                equal(truth.getString(4), seen.getString(4));
                equal(0, masked.getInt(2));
                equal("***-**-" + truth.getString(4).substring(7), masked.getString(4));
                count++;
            }
            equal(50, count);
            yes(!masked.next() && !seen.next(), "not more rows");
        }
    }

    static void masks() throws Exception {
        String ssn = truth("SELECT ssn FROM employees WHERE id = 7");
        try (Connection ana = as("ANA"); Connection hana = as("HANA"); Connection ivan = as("IVAN")) {
            equal("0", one(ana, "SELECT max(salary) FROM employees"));
            equal(truth("SELECT max(salary) FROM employees"), one(hana, "SELECT max(salary) FROM employees"));
            equal("0", one(ana, "SELECT count(*) FROM employees WHERE ssn = '" + ssn + "'"));
            equal("1", one(hana, "SELECT count(*) FROM employees WHERE ssn = '" + ssn + "'"));
            try (PreparedStatement bySsn = ana.prepareStatement("SELECT name FROM employees WHERE ssn = ?")) {
                bySsn.setString(1, ssn);
                equal(List.of(), rows(bySsn.executeQuery()));
            }
            equal(List.of(List.of("hidden")), rows(ivan, "SELECT DISTINCT email FROM customers"));
            equal(List.of(List.of("APAC")), rows(ivan, "SELECT DISTINCT region FROM customers"));
        }
    }

    static void update() throws Exception {
        try (Connection bob = as("BOB"); PreparedStatement update = bob.prepareStatement("UPDATE orders SET note = ? WHERE id % 10 = 3")) {
            bob.setAutoCommit(false);
            update.setString(1, "seen");
            equal(truth("SELECT count(*) FROM orders WHERE region = 'AMER' AND id % 10 = 3"), String.valueOf(update.executeUpdate()));
            bob.rollback();
        }
    }

    // Batches.

    static final String ORDER = "INSERT INTO orders (customer_id, region, sales_rep, status, ordered_on, note) VALUES (?, ?, 'ana@example.com', 'open', ?, ?)";

    static void order(PreparedStatement insert, String region, String note) throws SQLException {
        insert.setInt(1, 1);
        insert.setString(2, region);
        insert.setObject(3, java.time.LocalDate.of(2025, 11, 5));
        insert.setString(4, note);
    }

    static void batch(boolean rewritten) throws Exception {
        String note = "batch " + rewritten;
        try (Connection ana = as("ANA", "reWriteBatchedInserts", String.valueOf(rewritten)); PreparedStatement insert = ana.prepareStatement(ORDER)) {
            for (int i = 0; i < 300; i++) {
                order(insert, "EMEA", note);
                insert.addBatch();
            }
            int[] counts = insert.executeBatch();
            equal(300, counts.length);
            for (int count : counts) yes(count == 1 || rewritten && count == Statement.SUCCESS_NO_INFO, "count " + count);
            equal("300", one(ana, "SELECT count(*) FROM orders WHERE note = '" + note + "'"));
            equal(300, ana.createStatement().executeUpdate("DELETE FROM orders WHERE note = '" + note + "'"));
        }
        try (Connection ana = as("ANA", "reWriteBatchedInserts", String.valueOf(rewritten)); PreparedStatement insert = ana.prepareStatement("INSERT INTO ticket (word) VALUES (?)")) {
            for (int i = 0; i < 1000; i++) {
                insert.setString(1, note + i);
                insert.addBatch();
            }
            equal(1000, insert.executeBatch().length);
            equal("1000", one(ana, "SELECT count(*) FROM ticket WHERE word LIKE '" + note + "%'"));
        }
    }

    static void batchBeyondFilter() throws Exception {
        try (Connection ana = as("ANA"); PreparedStatement insert = ana.prepareStatement(ORDER)) {
            ana.setAutoCommit(false);
            for (int i = 0; i < 10; i++) {
                order(insert, i == 7 ? "AMER" : "EMEA", "beyond");
                insert.addBatch();
            }
            SQLException refusal = refusedBatch(insert);
            yes("42501".equals(refusal.getSQLState()) || "44000".equals(refusal.getSQLState()), "refused by the filter, not " + refusal.getSQLState());
            ana.rollback();
            equal("0", truth("SELECT count(*) FROM orders WHERE note = 'beyond'"));
        }
    }

    static SQLException refusedBatch(PreparedStatement insert) throws SQLException {
        try {
            insert.executeBatch();
        } catch (BatchUpdateException refusal) {
            return refusal.getNextException() == null ? refusal : refusal.getNextException();
        }
        throw new AssertionError("the batch went through");
    }

    // Portals, cancels.

    static void fetchSize() throws Exception {
        try (Connection ana = as("ANA"); PreparedStatement read = ana.prepareStatement("SELECT id, region FROM orders ORDER BY id")) {
            ana.setAutoCommit(false);
            read.setFetchSize(7);
            ResultSet results = read.executeQuery();
            List<Long> ids = new ArrayList<>();
            while (results.next()) {
                ids.add(results.getLong(1));
                equal("EMEA", results.getString(2));
            }
            try (Connection direct = truth()) {
                List<Long> expected = new ArrayList<>();
                for (List<String> row : rows(direct, "SELECT id FROM orders WHERE region = 'EMEA' ORDER BY id")) expected.add(Long.valueOf(row.get(0)));
                equal(expected, ids);
            }
            ResultSet half = read.executeQuery();
            yes(half.next(), "a row");
            half.close();
            ana.commit();
            equal("1", one(ana, "SELECT 1"));
        }
    }

    static void cancel() throws Exception {
        try (Connection ana = as("ANA"); Statement statement = ana.createStatement()) {
            AtomicReference<String> state = new AtomicReference<>();
            Thread thread = new Thread(() -> {
                try {
                    statement.executeQuery(LONG + " WHERE 'stopped' <> ''");
                    state.set("it ended by itself");
                } catch (SQLException refusal) {
                    state.set(refusal.getSQLState());
                }
            });
            thread.start();
            // pgjdbc asks once per statement, and PostgreSQL ignores who asks before it runs.
            String runs = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
                + "AND state = 'active' AND query LIKE '%stopped%' AND clock_timestamp() - query_start > '100 ms'";
            long deadline = System.nanoTime() + 30_000_000_000L;
            while (truth(runs).equals("0")) yes(System.nanoTime() < deadline, "the statement does not run");
            statement.cancel();
            thread.join(30_000);
            yes(!thread.isAlive(), "the statement was cancelled in vain");
            equal("57014", state.get());
            equal("1", one(ana, "SELECT 1"));
        }
    }

    static void queryTimeout() throws Exception {
        try (Connection ana = as("ANA"); Statement statement = ana.createStatement()) {
            statement.setQueryTimeout(1);
            refused("57014", () -> statement.executeQuery(LONG));
            statement.setQueryTimeout(0);
            equal(truth("SELECT count(*) FROM orders WHERE region = 'EMEA'"), one(ana, "SELECT count(*) FROM orders"));
        }
    }

    // Metadata.

    interface Question {
        ResultSet ask(DatabaseMetaData metadata) throws SQLException;
    }

    static void sameMetadata(Question question) throws Exception {
        try (Connection ana = as("ANA"); Connection direct = truth()) {
            List<List<String>> expected = rows(question.ask(direct.getMetaData()));
            yes(!expected.isEmpty(), "the upstream knows something");
            List<List<String>> found = rows(question.ask(ana.getMetaData()));
            for (List<String> row : expected) yes(found.contains(row), "missing: " + row + " in " + found);
            equal(expected.size(), found.size());
            equal(expected, found);
        }
    }

    /** Counts of rows and pages are not told. */
    static void indexes() throws Exception {
        try (Connection ana = as("ANA"); Connection direct = truth()) {
            List<List<String>> expected = rows(direct.getMetaData().getIndexInfo(null, "public", "orders", false, true));
            List<List<String>> found = rows(ana.getMetaData().getIndexInfo(null, "public", "orders", false, true));
            for (List<String> row : expected) {
                row.set(10, "-1");
                row.set(11, "0");
            }
            yes(!expected.isEmpty(), "the upstream knows something");
            equal(expected, found);
        }
    }

    static void typeInfo() throws Exception {
        try (Connection ana = as("ANA")) {
            List<String> names = new ArrayList<>();
            for (List<String> row : rows(ana.getMetaData().getTypeInfo())) names.add(row.get(0));
            yes(names.containsAll(List.of("int4", "text", "numeric", "timestamptz", "jsonb", "mood")), "types: " + names);
            yes(!rows(ana.getMetaData().getUDTs(null, "public", "%", null)).isEmpty(), "composite types");
        }
    }

    static void schemas() throws Exception {
        try (Connection ana = as("ANA")) {
            List<String> names = new ArrayList<>();
            for (List<String> row : rows(ana.getMetaData().getSchemas())) names.add(row.get(0));
            yes(names.contains("public") && names.contains("information_schema"), "schemas: " + names);
            equal(System.getenv("PGUSHER_DATABASE"), ana.getCatalog());
        }
    }

    static void otherMetadata() throws Exception {
        try (Connection ana = as("ANA")) {
            DatabaseMetaData m = ana.getMetaData();
            equal("PostgreSQL", m.getDatabaseProductName());
            yes(m.getDatabaseMajorVersion() >= 14, "version " + m.getDatabaseProductVersion());
            yes(m.getMaxColumnNameLength() == 63, "length of names");
            yes(m.getSQLKeywords().contains("ilike"), "keywords");
            Map<String, Question> questions = new LinkedHashMap<>();
            questions.put("catalogs", DatabaseMetaData::getCatalogs);
            questions.put("table types", DatabaseMetaData::getTableTypes);
            questions.put("table privileges", x -> x.getTablePrivileges(null, "public", "orders"));
            questions.put("column privileges", x -> x.getColumnPrivileges(null, "public", "employees", "%"));
            questions.put("procedures", x -> x.getProcedures(null, "public", "%"));
            questions.put("procedure columns", x -> x.getProcedureColumns(null, "public", "%", "%"));
            questions.put("function columns", x -> x.getFunctionColumns(null, "public", "pick", "%"));
            questions.put("version columns", x -> x.getVersionColumns(null, "public", "orders"));
            questions.put("client info", DatabaseMetaData::getClientInfoProperties);
            for (Map.Entry<String, Question> question : questions.entrySet()) {
                try {
                    rows(question.getValue().ask(m));
                } catch (SQLException refusal) {
                    throw new AssertionError(question.getKey(), refusal);
                }
            }
        }
    }

    static void resultMetadata() throws Exception {
        try (Connection ana = as("ANA"); PreparedStatement read = ana.prepareStatement("SELECT o.customer_id AS customer, o.amount, e.salary, current_user FROM orders o JOIN employees e ON e.email = o.sales_rep LIMIT 1")) {
            ResultSetMetaData described = read.getMetaData();
            equal("customer", described.getColumnLabel(1));
            equal("int4", described.getColumnTypeName(1));
            equal("numeric", described.getColumnTypeName(2));
            equal(12, described.getPrecision(2));
            equal("int4", described.getColumnTypeName(3));
            equal("current_user", described.getColumnLabel(4));
            ResultSetMetaData seen = read.executeQuery().getMetaData();
            equal(4, seen.getColumnCount());
            equal("salary", seen.getColumnName(3));
        }
    }

    static void generatedKeys() throws Exception {
        try (Connection ana = as("ANA")) {
            ana.setAutoCommit(false);
            try (PreparedStatement insert = ana.prepareStatement(ORDER, Statement.RETURN_GENERATED_KEYS)) {
                order(insert, "EMEA", "keys");
                equal(1, insert.executeUpdate());
                ResultSet keys = insert.getGeneratedKeys();
                yes(keys.next(), "a key");
                yes(keys.getLong("id") > 3000, "key " + keys.getLong("id"));
                equal("keys", keys.getString("note"));
            }
            try (PreparedStatement insert = ana.prepareStatement(ORDER, new String[] {"id", "amount"})) {
                for (int i = 0; i < 5; i++) {
                    order(insert, "EMEA", "keys");
                    insert.addBatch();
                }
                insert.executeBatch();
                equal(5, rows(insert.getGeneratedKeys()).size());
            }
            ana.rollback();
        }
    }

    // COPY.

    static void copyOut() throws Exception {
        try (Connection ana = as("ANA")) {
            CopyManager copy = ana.unwrap(PGConnection.class).getCopyAPI();
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            equal(truth("SELECT count(*) FROM orders WHERE region = 'EMEA'"), String.valueOf(copy.copyOut("COPY orders TO STDOUT", out)));
            equal(false, out.toString(StandardCharsets.UTF_8).contains("\tAMER\t"));
            out.reset();
            copy.copyOut("COPY (SELECT DISTINCT salary, left(ssn, 7) AS ssn FROM employees) TO STDOUT (FORMAT csv, HEADER)", out);
            equal("salary,ssn\n0,***-**-\n", out.toString(StandardCharsets.UTF_8));
            equal("1", one(ana, "SELECT 1"));
        }
    }

    static void copyIn() throws Exception {
        try (Connection ana = as("ANA")) {
            CopyManager copy = ana.unwrap(PGConnection.class).getCopyAPI();
            StringBuilder text = new StringBuilder();
            for (int i = 0; i < 5000; i++) text.append(100000 + i).append("\tfrom java\n");
            equal(5000L, copy.copyIn("COPY intake (id, word) FROM STDIN", new StringReader(text.toString())));
            equal("5000", one(ana, "SELECT count(*) FROM intake WHERE word = 'from java'"));
            refused("22P02", () -> copy.copyIn("COPY intake (id, word) FROM STDIN", new StringReader("x\ty\n")));
            equal(5000, ana.createStatement().executeUpdate("DELETE FROM intake WHERE word = 'from java'"));
        }
    }

    static void copyInBeyondFilter() throws Exception {
        String command = "COPY orders (customer_id, region, sales_rep, status, ordered_on, note) FROM STDIN (FORMAT csv)";
        String mine = "1,EMEA,ana@example.com,open,2025-11-05,copied\n", theirs = "1,AMER,ana@example.com,open,2025-11-05,copied\n";
        try (Connection ana = as("ANA")) {
            CopyManager copy = ana.unwrap(PGConnection.class).getCopyAPI();
            equal(2L, copy.copyIn(command, new StringReader(mine + mine)));
            equal("2", truth("SELECT count(*) FROM orders WHERE note = 'copied'"));
            try {
                copy.copyIn(command, new StringReader(mine + theirs));
                throw new AssertionError("a row that the filter hides went in");
            } catch (SQLException refusal) {
                yes("42501".equals(refusal.getSQLState()) || "44000".equals(refusal.getSQLState()), "refused by the filter, not " + refusal.getSQLState());
            }
            equal("2", truth("SELECT count(*) FROM orders WHERE note = 'copied'"));
            equal(2, ana.createStatement().executeUpdate("DELETE FROM orders WHERE note = 'copied'"));
        }
    }

    // Transactions.

    static void savepoints() throws Exception {
        try (Connection ana = as("ANA"); Statement statement = ana.createStatement()) {
            ana.setAutoCommit(false);
            statement.executeUpdate("INSERT INTO ticket (word) VALUES ('saved')");
            Savepoint named = ana.setSavepoint("before");
            refused("42501", () -> statement.executeQuery("SELECT * FROM region_desk"));
            refused("25P02", () -> statement.executeQuery("SELECT 1"));
            ana.rollback(named);
            Savepoint unnamed = ana.setSavepoint();
            refused("22012", () -> statement.executeQuery("SELECT 1 / 0"));
            ana.rollback(unnamed);
            ana.releaseSavepoint(named);
            ana.commit();
            equal("1", one(ana, "SELECT count(*) FROM ticket WHERE word = 'saved'"));
            ana.rollback();
        }
    }

    static void autosave() throws Exception {
        try (Connection ana = as("ANA", "autosave", "always"); Statement statement = ana.createStatement()) {
            ana.setAutoCommit(false);
            equal("1", one(ana, "SELECT 1"));
            refused("42501", () -> statement.executeQuery("SELECT * FROM region_desk"));
            refused("42P01", () -> statement.executeQuery("SELECT * FROM nowhere"));
            equal("2", one(ana, "SELECT 2"));
            ana.commit();
        }
    }

    static void readOnly() throws Exception {
        for (String mode : List.of("transaction", "always")) {
            try (Connection ana = as("ANA", "readOnlyMode", mode); Statement statement = ana.createStatement()) {
                ana.setReadOnly(true);
                ana.setAutoCommit(false);
                refused("25006", () -> statement.executeUpdate("UPDATE orders SET note = 'no' WHERE id = 1"));
                ana.rollback();
                equal(truth("SELECT count(*) FROM orders WHERE region = 'EMEA'"), one(ana, "SELECT count(*) FROM orders"));
                ana.rollback();
                ana.setReadOnly(false);
                statement.executeUpdate("UPDATE orders SET note = 'yes' WHERE id = 1");
                ana.rollback();
            }
        }
    }

    static void isolation() throws Exception {
        try (Connection ana = as("ANA")) {
            equal(Connection.TRANSACTION_READ_COMMITTED, ana.getTransactionIsolation());
            for (int level : new int[] {Connection.TRANSACTION_SERIALIZABLE, Connection.TRANSACTION_REPEATABLE_READ, Connection.TRANSACTION_READ_COMMITTED}) {
                ana.setTransactionIsolation(level);
                equal(level, ana.getTransactionIsolation());
                ana.setAutoCommit(false);
                equal(truth("SELECT count(*) FROM orders WHERE region = 'EMEA'"), one(ana, "SELECT count(*) FROM orders"));
                ana.commit();
                ana.setAutoCommit(true);
            }
        }
    }

    // Errors and settings.

    static void errors() throws Exception {
        try (Connection ivan = as("IVAN"); Statement statement = ivan.createStatement()) {
            PSQLException refusal = (PSQLException) refused("42501", () -> statement.executeQuery("SELECT * FROM employees"));
            ServerErrorMessage said = refusal.getServerErrorMessage();
            equal("permission denied for table employees", said.getMessage());
            yes(said.getDetail() != null && said.getDetail().contains("SELECT"), "detail: " + said.getDetail());
            yes(said.getHint() != null && !said.getHint().isEmpty(), "a hint");
            equal("ERROR", said.getSeverity());
            refused("42P01", () -> statement.executeQuery("SELECT * FROM nowhere"));
            refused("42703", () -> statement.executeQuery("SELECT nothing FROM customers"));
            refused("42883", () -> statement.executeQuery("SELECT no_such_function(1)"));
            refused("22012", () -> statement.executeQuery("SELECT 1 / 0"));
            refused("22P02", () -> statement.executeQuery("SELECT 'x'::integer"));
            refused("42501", () -> statement.execute("CREATE TABLE mine (id integer)"));
            refused("42501", () -> statement.execute("SET ROLE postgres"));
            PSQLException syntax = (PSQLException) refused("42601", () -> statement.executeQuery("SELECT FROM FROM customers"));
            equal(13, syntax.getServerErrorMessage().getPosition());
            equal("1", one(ivan, "SELECT 1"));
        }
        try (Connection ana = as("ANA"); Statement statement = ana.createStatement()) {
            statement.executeUpdate("INSERT INTO intake (id) VALUES (1)");
            refused("23505", () -> statement.executeUpdate("INSERT INTO intake (id) VALUES (1)"));
            statement.executeUpdate("DELETE FROM intake WHERE id = 1");
        }
    }

    static void wrongToken() throws Exception {
        SQLException refusal = refused("28P01", () -> as("ANA", "password", "pgu_wrong").close());
        SQLException stranger = refused("28P01", () -> as("ANA", "user", "nobody@example.com").close());
        equal(refusal.getMessage(), stranger.getMessage().replace("nobody@", "ana@"));
    }

    static void jwt() throws Exception {
        String jwt = System.getenv("ANA_JWT");
        try (Connection ana = as("ANA", "password", jwt)) {
            equal("ana@example.com", one(ana, "SELECT current_user"));
            equal("EMEA", one(ana, "SELECT string_agg(DISTINCT region, ' ') FROM orders"));
        }
        refused("28P01", () -> as("ANA", "user", "bob@example.com", "password", jwt).close());
    }

    static void scram() throws Exception {
        String password = System.getenv("HANA_PASSWORD");
        String options = "-c pgusher.auth=scram-sha-256";
        try (Connection hana = as("HANA", "password", password, "options", options)) {
            equal("hana@example.com", one(hana, "SELECT current_user"));
        }
        refused("28P01", () -> as("HANA", "password", password + "x", "options", options).close());
        refused("28P01", () -> as("BOB", "options", options).close());
    }

    static void applicationName() throws Exception {
        try (Connection ana = as("ANA", "ApplicationName", "the till")) {
            equal("the till", one(ana, "SHOW application_name"));
            ana.setClientInfo("ApplicationName", "the counter");
            equal("the counter", ana.getClientInfo("ApplicationName"));
            equal("the counter", one(ana, "SELECT current_setting('application_name')"));
        }
    }

    static void schema() throws Exception {
        try (Connection ana = as("ANA", "currentSchema", "public")) {
            equal("public", ana.getSchema());
            ana.setSchema("information_schema");
            equal("information_schema", ana.getSchema());
            refused("42P01", () -> one(ana, "SELECT count(*) FROM orders"));
            ana.setSchema("public");
            equal(truth("SELECT count(*) FROM orders WHERE region = 'EMEA'"), one(ana, "SELECT count(*) FROM orders"));
        }
    }

    static void user() throws Exception {
        try (Connection ana = as("ANA")) {
            equal(System.getenv("ANA_USER"), one(ana, "SELECT current_user"));
            equal(System.getenv("ANA_USER"), one(ana, "SELECT session_user"));
            equal(System.getenv("ANA_USER"), one(ana, "SELECT {fn user()}"));
            equal(System.getenv("ANA_USER"), ana.getMetaData().getUserName());
        }
    }

    static void parameters() throws Exception {
        try (Connection ana = as("ANA", "prepareThreshold", "1"); PreparedStatement insert = ana.prepareStatement(
                "INSERT INTO intake (id, word, amount, at, blob, tags, mood, facts) VALUES (?, ?, ?, ?, ?, ?, ?::mood, ?::jsonb)");
             PreparedStatement read = ana.prepareStatement("SELECT * FROM intake WHERE id = ?")) {
            Timestamp at = Timestamp.valueOf("2025-11-05 12:30:00");
            for (int id = 10; id < 15; id++) {
                insert.setInt(1, id);
                insert.setString(2, "wörd \u2205 '\\");
                insert.setBigDecimal(3, new BigDecimal("12.50"));
                insert.setTimestamp(4, at);
                insert.setBytes(5, new byte[] {0, 1, (byte) 255});
                insert.setArray(6, ana.createArrayOf("text", new String[] {"a", null, "{b}"}));
                insert.setString(7, "merry");
                insert.setString(8, "{\"a\": [1, 2]}");
                equal(1, insert.executeUpdate());
                read.setInt(1, id);
                ResultSet row = read.executeQuery();
                yes(row.next(), "the row is there");
                equal("wörd \u2205 '\\", row.getString("word"));
                equal(new BigDecimal("12.50"), row.getBigDecimal("amount"));
                equal(at, row.getTimestamp("at"));
                yes(Arrays.equals(new byte[] {0, 1, (byte) 255}, row.getBytes("blob")), "the bytes");
                equal(Arrays.asList("a", null, "{b}"), Arrays.asList((Object[]) row.getArray("tags").getArray()));
                equal("merry", row.getString("mood"));
                equal("{\"a\": [1, 2]}", row.getString("facts"));
                row.getObject("parcel");
            }
            equal(5, ana.createStatement().executeUpdate("DELETE FROM intake WHERE id BETWEEN 10 AND 14"));
        }
    }

    static void severalResults() throws Exception {
        try (Connection ana = as("ANA"); Statement statement = ana.createStatement()) {
            yes(statement.execute("SELECT 1 AS a; INSERT INTO ticket (word) VALUES ('several'); SELECT DISTINCT region FROM orders"), "first a result");
            equal(List.of(List.of("1")), rows(statement.getResultSet()));
            yes(!statement.getMoreResults(), "then a count");
            equal(1, statement.getUpdateCount());
            yes(statement.getMoreResults(), "then a result");
            equal(List.of(List.of("EMEA")), rows(statement.getResultSet()));
            refused("42501", () -> statement.execute("INSERT INTO ticket (word) VALUES ('never'); SELECT * FROM region_desk"));
            equal("0", one(ana, "SELECT count(*) FROM ticket WHERE word = 'never'"));
        }
    }

    static void updatable() throws Exception {
        try (Connection ana = as("ANA"); Statement statement = ana.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
            ana.setAutoCommit(false);
            ResultSet results = statement.executeQuery("SELECT id, note FROM orders WHERE region = 'EMEA' ORDER BY id LIMIT 3");
            yes(results.last(), "rows");
            long id = results.getLong(1);
            results.updateString(2, "updated in place");
            results.updateRow();
            results.close();
            equal("updated in place", one(ana, "SELECT note FROM orders WHERE id = " + id));
            ana.rollback();
        }
    }

    static void queryMode(String mode) throws Exception {
        try (Connection ana = as("ANA", "preferQueryMode", mode, "prepareThreshold", "1"); PreparedStatement count = ana.prepareStatement("SELECT count(*), current_user FROM orders WHERE note IS DISTINCT FROM ?")) {
            String expected = truth("SELECT count(*) FROM orders WHERE region = 'EMEA'");
            for (int i = 0; i < 3; i++) {
                count.setString(1, "it's");
                equal(List.of(List.of(expected, System.getenv("ANA_USER"))), rows(count.executeQuery()));
                equal(expected, one(ana, "SELECT count(*) FROM orders"));
            }
        }
    }

    static void call() throws Exception {
        try (Connection ana = as("ANA"); CallableStatement call = ana.prepareCall("{? = call upper(?)}")) {
            call.registerOutParameter(1, Types.VARCHAR);
            call.setString(2, "loud");
            call.execute();
            equal("LOUD", call.getString(1));
        }
    }

    static void functionsCursor() throws Exception {
        try (Connection admin = as("ADMIN"); Statement statement = admin.createStatement()) {
            statement.execute("CREATE VIEW public.regions_seen AS SELECT DISTINCT region FROM orders");
            statement.execute("CREATE FUNCTION public.regions_of_mine() RETURNS refcursor LANGUAGE plpgsql AS "
                + "$$ DECLARE c refcursor; BEGIN OPEN c FOR SELECT region FROM regions_seen; RETURN c; END $$");
            statement.execute("GRANT EXECUTE ON FUNCTION regions_of_mine TO analysts");
        }
        try (Connection ana = as("ANA")) {
            ana.setAutoCommit(false);
            for (int i = 0; i < 2; i++) {
                try (CallableStatement call = ana.prepareCall("{? = call regions_of_mine()}")) {
                    call.registerOutParameter(1, Types.REF_CURSOR);
                    call.execute();
                    try (ResultSet found = (ResultSet) call.getObject(1)) {
                        equal(List.of(List.of("EMEA")), rows(found));
                    }
                }
                ana.commit();
            }
        }
    }

    static void valid() throws Exception {
        Connection ana = as("ANA");
        yes(ana.isValid(5), "valid");
        ana.setAutoCommit(false);
        equal("1", one(ana, "SELECT 1"));
        yes(ana.isValid(5), "valid in a transaction");
        ana.rollback();
        ana.close();
        yes(!ana.isValid(5), "not after closing");
    }
}
