#!/usr/bin/env bash
# Publishes the images of the inputs, and takes the pushes of the script that is given. action.yml describes the inputs.
set -euo pipefail

fail() {
  echo "::error title=Gantry::$1"
  exit 2
}

[ -n "$GANTRY_TO" ] || fail 'The input "to" is empty. Set it to the bucket, for example s3://images.'
[ -n "${GANTRY_IMAGES//[[:space:]]/}${GANTRY_RUN//[[:space:]]/}" ] ||
  fail 'There is nothing to publish: set the input "images" or the input "run".'

# What the job has set already counts, unless an input says otherwise.
[ -z "$GANTRY_ENDPOINT" ] || export AWS_ENDPOINT_URL_S3=$GANTRY_ENDPOINT
[ -z "$GANTRY_ACCESS_KEY_ID" ] || export AWS_ACCESS_KEY_ID=$GANTRY_ACCESS_KEY_ID
[ -z "$GANTRY_SECRET_ACCESS_KEY" ] || export AWS_SECRET_ACCESS_KEY=$GANTRY_SECRET_ACCESS_KEY
folder=$(mktemp -d "${RUNNER_TEMP:-/tmp}/gantry-XXXXXX")
trap 'rm -rf "$folder"' EXIT
if [ -n "$GANTRY_SIGNING_KEY" ]; then
  (umask 077 && printf '%s\n' "$GANTRY_SIGNING_KEY" > "$folder/signing-key.pem")
  export GANTRY_KEY=$folder/signing-key.pem
fi
username=$GANTRY_SOURCE_USERNAME password=$GANTRY_SOURCE_PASSWORD
# The script of `run` sees none of the secrets: the endpoint has them.
unset GANTRY_ACCESS_KEY_ID GANTRY_SECRET_ACCESS_KEY GANTRY_SIGNING_KEY GANTRY_SOURCE_USERNAME GANTRY_SOURCE_PASSWORD

publish() {
  if [ -n "$username" ]; then
    printf '%s:%s' "$username" "$password" | gantry publish "$1" "$2" --to "$GANTRY_TO" --json --creds-stdin
  else
    gantry publish "$1" "$2" --to "$GANTRY_TO" --json < /dev/null
  fi
}

while read -r source name more; do
  [ -n "$source" ] || continue
  [ -n "$name" ] && [ -z "$more" ] || fail "The line \"$source $name $more\" of \"images\" is not SOURCE NAME:TAG."
  publish "$source" "$name" >> "$folder/events"
done <<< "$GANTRY_IMAGES"

if [ -n "${GANTRY_RUN//[[:space:]]/}" ]; then
  printf 'exec >&2\n%s\n' "$GANTRY_RUN" > "$folder/run.sh"
  without=()
  for secret in AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN PURGE_TOKEN GANTRY_NOTIFY_SECRET; do
    without+=(-u "$secret")
  done
  gantry receive --to "$GANTRY_TO" --listen "$GANTRY_PUSH" --json -- \
    env "${without[@]}" bash -euo pipefail "$folder/run.sh" >> "$folder/events"
fi

node "$(dirname "$0")/outputs.js" "$folder/events"
