/** The only reader of the command line and of the process's environment. The result is parsed and frozen. */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { IS_INSTALLED, PROJECT } from '../project.ts';
import { usageError } from './errors.ts';

/** The command line and the environment of this process. */
export interface Environment {
  /** The arguments, without the program. */
  readonly argv: readonly string[];
  /** All variables, for readers with their own conventions (S3 credentials, registry logins). */
  readonly variables: Readonly<NodeJS.ProcessEnv>;
  /** The path of the signing key; the file may not exist yet. */
  readonly keyFile: string;
  /** Whether output, errors included, is to be JSON. It is detected before all arguments are parsed. */
  readonly json: boolean;
}

/** The edge whose cache is purged when tags move. */
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

/**
 * `$GANTRY_KEY`, else `gantry/signing-key.pem` in the XDG state folder (XDG base directory spec 0.8: a relative
 * `$XDG_STATE_HOME` counts as unset).
 */
function keyFileOf(variables: NodeJS.ProcessEnv): string {
  const { GANTRY_KEY } = variables;
  return GANTRY_KEY !== undefined && GANTRY_KEY !== '' ? GANTRY_KEY : join(xdgState(variables), 'signing-key.pem');
}

/** Gantry's folder below the XDG state folder. */
function xdgState({ XDG_STATE_HOME, HOME }: NodeJS.ProcessEnv): string {
  const home = HOME !== undefined && isAbsolute(HOME) ? HOME : homedir();
  const state =
    XDG_STATE_HOME !== undefined && isAbsolute(XDG_STATE_HOME) ? XDG_STATE_HOME : join(home, '.local', 'state');
  return join(state, 'gantry');
}

/**
 * The default folder of the local store. In a checkout it is where `wrangler dev` has it too; an installed package
 * keeps nothing in its own folder, which an update replaces.
 */
export const DEFAULT_STATE: string = IS_INSTALLED ? join(xdgState(process.env), 'store') : `${PROJECT}.wrangler/state`;

/** Scripts of package.json that run the command. */
const OWN_SCRIPTS: ReadonlySet<string | undefined> = new Set(['gantry', 'start', 'deploy']);

/**
 * The folder that relative paths of the command line start from, where it is not the process's: npm runs scripts in the
 * package's folder, and says in `INIT_CWD` where the caller is. undefined otherwise.
 */
export function callersFolder({ npm_lifecycle_event, INIT_CWD }: Readonly<NodeJS.ProcessEnv>): string | undefined {
  return OWN_SCRIPTS.has(npm_lifecycle_event) && INIT_CWD !== '' ? INIT_CWD : undefined;
}

/**
 * The edge that `$GANTRY_EDGE_URL` and `$PURGE_TOKEN` name; undefined if it is not set. Throws {@link usageError} if
 * only the URL is set, or it is not valid.
 */
export function readEdge({ GANTRY_EDGE_URL, PURGE_TOKEN }: Readonly<NodeJS.ProcessEnv>): Edge | undefined {
  if (GANTRY_EDGE_URL === undefined || GANTRY_EDGE_URL === '') return undefined;
  const url = URL.canParse(GANTRY_EDGE_URL) ? new URL(GANTRY_EDGE_URL) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw usageError(
      `GANTRY_EDGE_URL is not a valid URL: ${JSON.stringify(GANTRY_EDGE_URL)}`,
      'Set it to https://registry.example.com, or unset it to purge no cache.',
    );
  }
  if (PURGE_TOKEN === undefined || PURGE_TOKEN === '') {
    throw usageError(
      'GANTRY_EDGE_URL is set, but PURGE_TOKEN is not',
      'Set PURGE_TOKEN to the Worker’s secret of that name, or unset GANTRY_EDGE_URL.',
    );
  }
  return { url, token: PURGE_TOKEN };
}
