#!/usr/bin/env bash
# Joins an open network with nothing but openssl, and says one thing in its chat. Every line is what docs/PROTOCOL.md
# says of it; `>` is what we send, `<` is what comes. Needs bash, openssl 3, coreutils and sed.
#
#   node run --listen 127.0.0.1:6101 --name lab          # in another terminal
#   docs/examples/by-hand.sh [HOST:PORT] [NETWORK] [TEXT]
set -euo pipefail
export LC_ALL=C # lengths are bytes

address=${1:-127.0.0.1:6101}
network=${2:-local}
text=${3:-hello by hand}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

now() { date +%s%6N; }                                      # microseconds since 1970
quoted() { sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$/"/'; }  # one line of text as a JSON string
sign() { openssl pkeyutl -sign -rawin -inkey key.pem -in "$1" | base64 -w 0; }
say() { printf '> %s\n' "$1" && printf '%s\n' "$1" >&"$out"; }
# A line; and what it says that follows raw, which has no end of its own.
hear() {
  read -r -t 10 -u "$in" line && printf '< %s\n' "$line" || return
  if [[ $line =~ ^\{\"len\":([0-9]+), ]]; then
    read -r -t 10 -u "$in" -N "${BASH_REMATCH[1]}" body && printf '< %s (raw)\n' "$body"
  fi
}
# Reads on until a message comes that begins like this; fails if the connection ends first.
await() {
  while hear; do
    if [[ $line == "$1"* ]]; then return; fi
  done
  { echo "by-hand: no $1 came; openssl says:" && tail -n 2 errors; } >&2
  exit 1
}
number() { sed -n "s/.*\"$1\":\([0-9]\{1,\}\).*/\1/p" <<<"$line"; }

# The key is who we are; a self-signed certificate is only its envelope.
openssl genpkey -algorithm ed25519 -out key.pem
openssl req -x509 -new -key key.pem -subj /CN=by-hand -days 30 -out cert.pem
# The id: the last 32 bytes of the public key's DER form, in lower-case base32 without padding.
id=$(openssl pkey -in key.pem -pubout -outform DER | tail -c 32 | base32 -w 0 | tr '[:upper:]' '[:lower:]' | tr -d '=')

# The announcement: a text, and a signature over exactly these bytes. As a view we need not listen.
seq=$(now)
printf '{"type":"announcement","network":"%s","seq":%s,"expires":%s,"name":"by-hand","roles":["view"],"addresses":[]}' \
  "$network" "$seq" $((seq + 3600000000)) >announcement
record="{\"signed\":$(quoted <announcement),\"by\":\"$id\",\"sig\":\"$(sign announcement)\"}"

# TLS 1.3 with our certificate. -quiet also keeps s_client from taking lines that begin with Q or R for commands.
coproc TLS { openssl s_client -quiet -connect "$address" -tls1_3 -cert cert.pem -key key.pem 2>errors; }
exec {in}<&"${TLS[0]}" {out}>&"${TLS[1]}" # copies: bash closes its own when the process ends

header="\"network\":\"$network\",\"version\":1,\"id\":\"$id\""
say "{\"hello\":{$header,\"time\":$(now),\"ping\":-1,\"announcement\":$record,\"agent\":\"by-hand/1\"}}"
await '{"hello":'

# A time frame says that our hello was accepted. The answer, like any other message, says the same of theirs: the link is
# up. Step 2 brings the delay they measured with it.
await '{"time":'
until [[ $line == *'"step":2'* ]]; do
  received=$(now)
  stamps="{\"origin\":$(number time),\"receive\":$received}"
  say "{\"time\":{$header,\"time\":$(now),\"ping\":-1,\"exchange\":$(number exchange),\"step\":1,\"stamps\":$stamps}}"
  await '{"time":'
done

# A broadcast: the signed text goes raw behind the line, `len` bytes of it.
seq=$(now)
printf '{"type":"broadcast","network":"%s","seq":%s,"expires":%s,"time":%s,"clock":%s,"service":"chat","text":%s}' \
  "$network" "$seq" $((seq + 3600000000)) "$seq" "$seq" "$(quoted <<<"$text")" >body
say "{\"len\":$(wc -c <body),\"broadcast\":{\"flood\":{\"by\":\"$id\",\"seq\":$seq,\"sig\":\"$(sign body)\"}}}"
printf '> %s (raw)\n' "$(cat body)" && cat body >&"$out"
await '{"broadcast":{"ack":'

# Goodbye, with a signed departure. They close the connection.
seq=$(now)
printf '{"type":"departure","network":"%s","seq":%s,"expires":%s}' "$network" "$seq" $((seq + 3600000000)) >departure
say "{\"goodbye\":{\"departure\":{\"signed\":$(quoted <departure),\"by\":\"$id\",\"sig\":\"$(sign departure)\"}}}"
while hear; do :; done
