#!/bin/sh
# A worker in shell: asks a service for trials, runs them, and tells what came out, until the study is over.
#   TUNESMITH_URL=http://127.0.0.1:8765 TUNESMITH_TOKEN=ts_... sh client.sh STUDY
set -eu
study="$TUNESMITH_URL/api/v1/studies/$1"
session="$(hostname)-$$"

post() {  # post PATH JSON: prints the answer, then its status on a line of its own
    curl -sS --retry 8 --retry-connrefused --max-time 60 -H "Authorization: Bearer $TUNESMITH_TOKEN" \
        -H 'Content-Type: application/json' -d "$2" -w '\n%{http_code}' "$study/$1"
}

while true; do
    answer=$(post ask "{\"session\": \"$session\", \"wait\": 20}")
    case "$(printf '%s' "$answer" | tail -n 1)" in
        200) ;;
        204) continue ;;  # others have to end first
        410) exit 0 ;;  # the study is over
        *) printf '%s\n' "$answer" >&2; exit 1 ;;
    esac
    number=$(printf '%s' "$answer" | sed -n 's/.*"number":\([0-9]*\).*/\1/p')
    x=$(printf '%s' "$answer" | sed -n 's/.*"config":{[^}]*"x":\([-+.0-9e]*\).*/\1/p')
    loss=$(awk "BEGIN { print ($x - 0.3) ^ 2 }")  # the training
    post "trials/$number/tell" "{\"value\": $loss}" >/dev/null
done
