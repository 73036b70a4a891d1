# pgusher in a small image. `docker build .` makes the program's; the target `setup` adds what the demo's one-shot service needs.

FROM rust:1-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends clang libclang-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --locked --release --bin pgusher

FROM debian:bookworm-slim AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --user-group --home-dir /var/lib/pgusher --create-home --uid 6432 pgusher
COPY --from=build /src/target/release/pgusher /usr/local/bin/pgusher

FROM base AS setup
RUN apt-get update \
    && apt-get install -y --no-install-recommends openssl postgresql-client \
    && rm -rf /var/lib/apt/lists/*
COPY config/demo /usr/share/pgusher/demo
USER pgusher
ENTRYPOINT ["/bin/sh", "/usr/share/pgusher/demo/compose-setup.sh"]

FROM base AS pgusher
USER pgusher
EXPOSE 6432
ENTRYPOINT ["pgusher"]
CMD ["serve"]
