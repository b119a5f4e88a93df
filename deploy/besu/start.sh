#!/bin/sh
# Put the database password into the address, copy the key where only this user reads it, start fuqi.
set -eu
umask 077
FUQI_DATABASE_URL="postgresql://fuqi:$(cat /run/secrets/database_password)@postgres/fuqi"
# Mounted secrets keep the modes of their host, and fuqi refuses a key that others can read.
FUQI_CHAIN_KEY_FILE=/tmp/chain.key
rm -f "$FUQI_CHAIN_KEY_FILE"
cp /run/secrets/chain_key "$FUQI_CHAIN_KEY_FILE"
export FUQI_DATABASE_URL FUQI_CHAIN_KEY_FILE
exec fuqi "$@"
