/** The only reader of the command line and of the process's environment: what it gives is parsed and frozen. */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { CommandError } from './errors.ts';

/** What the process was started with. */
export interface Environment {
  /** Arguments, without the program. */
  readonly argv: readonly string[];
  /** All variables: for what has its own conventions (S3 credentials, registry logins). */
  readonly variables: Readonly<NodeJS.ProcessEnv>;
  /** Where the signing key is, or will be made. */
  readonly keyFile: string;
  /** Whether whoever called wants JSON, errors included; known before the arguments are read in full. */
  readonly json: boolean;
}

/** The edge whose cache is to be purged when tags move. */
export interface Edge {
  readonly url: URL;
  readonly token: string;
}

/** Reads arguments and variables. `argv` as in `process.argv`. */
export function readEnvironment(argv: readonly string[], variables: NodeJS.ProcessEnv): Environment {
  const own = argv.slice(2);
  const end = own.indexOf('--');
  return Object.freeze({
    argv: Object.freeze(own),
    variables: Object.freeze({ ...variables }),
    keyFile: keyFileOf(variables),
    json: own.slice(0, end < 0 ? own.length : end).includes('--json'),
  });
}

/** `$GANTRY_KEY`, else `gantry/signing-key.pem` in the XDG state folder (XDG base directory spec 0.8: a relative `$XDG_STATE_HOME` counts as unset). */
function keyFileOf({ GANTRY_KEY, XDG_STATE_HOME, HOME }: NodeJS.ProcessEnv): string {
  if (GANTRY_KEY !== undefined && GANTRY_KEY !== '') return GANTRY_KEY;
  const home = HOME !== undefined && isAbsolute(HOME) ? HOME : homedir();
  const state =
    XDG_STATE_HOME !== undefined && isAbsolute(XDG_STATE_HOME) ? XDG_STATE_HOME : join(home, '.local', 'state');
  return join(state, 'gantry', 'signing-key.pem');
}

/** The edge that `$GANTRY_EDGE_URL` and `$PURGE_TOKEN` name; undefined if neither does. Throws {@link CommandError} if they are half set or wrong. */
export function readEdge({ GANTRY_EDGE_URL, PURGE_TOKEN }: Readonly<NodeJS.ProcessEnv>): Edge | undefined {
  if (GANTRY_EDGE_URL === undefined || GANTRY_EDGE_URL === '') return undefined;
  const url = URL.canParse(GANTRY_EDGE_URL) ? new URL(GANTRY_EDGE_URL) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new CommandError(`GANTRY_EDGE_URL is no address: ${JSON.stringify(GANTRY_EDGE_URL)}`, {
      kind: 'usage',
      hint: 'Write https://registry.example.com, or unset it to leave caches alone.',
    });
  }
  if (PURGE_TOKEN === undefined || PURGE_TOKEN === '') {
    throw new CommandError('GANTRY_EDGE_URL is set, PURGE_TOKEN is not', {
      kind: 'usage',
      hint: 'Set PURGE_TOKEN to the secret of that name that the Worker has, or unset GANTRY_EDGE_URL.',
    });
  }
  return { url, token: PURGE_TOKEN };
}
