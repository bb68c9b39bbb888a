#!/usr/bin/env bash
# Installs the gantry command from npm: the version of this action, or the one that was asked for.
set -euo pipefail

version=${GANTRY_VERSION:-}
if [ "$version" = installed ]; then
  command -v gantry > /dev/null || {
    echo '::error title=Gantry::version is "installed", but the PATH has no gantry. Install it, or leave the input out.'
    exit 2
  }
else
  [ -n "$version" ] || version=$(node -p 'require(process.argv[1]).version' "$GITHUB_ACTION_PATH/package.json")
  npm install --global --no-audit --no-fund "gantry-registry@$version"
fi
gantry --version
