#!/bin/sh
# The one-shot service of docker-compose.yml: a certificate, pgusher init, the demo's policies and people.
set -eu
home=/var/lib/pgusher

if [ ! -e "$home/server.key" ]; then
    openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
        -keyout "$home/server.key" -out "$home/server.crt" 2>/dev/null
    chmod 600 "$home/server.key"
fi

said=$(pgusher init --admin admin@example.com)
token=$(printf '%s\n' "$said" | grep -o 'pgu_[A-Za-z0-9_-]*' | head -n 1 || true)
if [ -z "$token" ]; then
    echo "setup: there is an administrator already; nothing to do"
    exit 0
fi

# The policies go through pgusher itself: a short-lived one, here.
PGUSHER_LOG_LEVEL=warn pgusher serve &
gate=$!
trap 'kill $gate 2>/dev/null || true' EXIT
admin() { PGPASSWORD=$token psql -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p 6432 -U admin@example.com -d shop "$@"; }
tries=0
until admin -c 'SELECT 1' >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || { echo "setup: pgusher does not take connections" >&2; exit 1; }
    sleep 0.5
done
if admin -A -t -c 'SHOW USERS' | grep -q '^ana@example.com'; then
    echo "setup: the policies are there; a new token for the administrator:"
    echo "  PGPASSWORD=$token psql 'host=127.0.0.1 port=6432 dbname=shop user=admin@example.com'"
    exit 0
fi
admin -f /usr/share/pgusher/demo/policies.sql

echo "Everybody's password is their token:"
echo "  PGPASSWORD=$token psql 'host=127.0.0.1 port=6432 dbname=shop user=admin@example.com'"
for user in ana@example.com bob@example.com hana@example.com ivan@example.com bi_tool; do
    pass=$(admin -A -t -c "CREATE TOKEN FOR \"$user\" COMMENT 'demo'" | grep -o 'pgu_[A-Za-z0-9_-]*' | head -n 1)
    echo "  PGPASSWORD=$pass psql 'host=127.0.0.1 port=6432 dbname=shop user=$user'"
done
