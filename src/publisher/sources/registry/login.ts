/**
 * Registry logins from containers-auth.json(5) and Docker's `config.json`, with credential helpers
 * (docker/docker-credential-helpers). They are read only when a registry requires authentication.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import type { Credentials } from '../../../origin/auth.ts';
import { CommandError, usageError } from '../../cli/errors.ts';
import { isObject, objectOf, parseJson } from '../../../registry/values/json.ts';

/** The key of Docker Hub in Docker's configuration; other registries have their host as key. */
const HUB_KEY = 'https://index.docker.io/v1/';

/** The user name that a credential helper returns with a refresh token. */
const TOKEN_USER = '<token>';

/** The repository that a login is for. `host` as in image names: `docker.io`, `registry.example.com:5000`. */
export interface LoginFor {
  readonly host: string;
  readonly repository: string;
}

/** Reads `USER:PASSWORD`. Throws {@link CommandError} (usage). */
export function parseCreds(text: string): Credentials {
  const colon = text.indexOf(':');
  if (colon < 1) throw usageError('the credentials are not USER:PASSWORD', 'Give USER:PASSWORD with --creds-stdin.');
  return { kind: 'basic', username: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** The files that may contain logins, in search order. A file named by a variable must exist. */
export function authFiles(
  env: Readonly<NodeJS.ProcessEnv>,
): readonly { readonly path: string; readonly required: boolean }[] {
  const { REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, XDG_CONFIG_HOME, DOCKER_CONFIG, HOME } = env;
  if (given(REGISTRY_AUTH_FILE)) return [{ path: REGISTRY_AUTH_FILE, required: true }];
  const home = given(HOME) ? HOME : homedir();
  return [
    ...(given(XDG_RUNTIME_DIR) ? [{ path: join(XDG_RUNTIME_DIR, 'containers', 'auth.json'), required: false }] : []),
    {
      path: join(given(XDG_CONFIG_HOME) ? XDG_CONFIG_HOME : join(home, '.config'), 'containers', 'auth.json'),
      required: false,
    },
    { path: join(given(DOCKER_CONFIG) ? DOCKER_CONFIG : join(home, '.docker'), 'config.json'), required: false },
  ];
}

/**
 * Finds the login for a repository; null if there is none. Throws {@link CommandError} if a file cannot be read or a
 * helper fails.
 */
export async function findLogin(login: LoginFor, env: Readonly<NodeJS.ProcessEnv>): Promise<Credentials | null> {
  for (const { path, required } of authFiles(env)) {
    const config = await readAuthFile(path, required);
    const found = config === null ? null : await loginIn(config, login, path, env);
    if (found !== null) return found;
  }
  return null;
}

/** The relevant members of an authentication file. */
interface AuthFile {
  readonly auths?: Readonly<Record<string, AuthEntry>>;
  readonly credHelpers?: Readonly<Record<string, string>>;
  readonly credsStore?: string;
}

interface AuthEntry {
  readonly auth?: string;
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

async function readAuthFile(path: string, required: boolean): Promise<AuthFile | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (!required && (code === 'ENOENT' || code === 'ENOTDIR')) return null;
    throw new CommandError(`${path} cannot be read`, {
      hint: required ? 'REGISTRY_AUTH_FILE names it.' : 'Registry logins are read from it.',
      cause,
    });
  }
  if (text.trim() === '') return {};
  // The parser's own message would quote the file, and with it a password.
  const value = parseJson(text);
  if (isObject(value)) return value;
  throw new CommandError(`${path} is not a JSON object`, {
    hint: 'Registry logins are read from it: fix it, or log in again.',
  });
}

async function loginIn(
  config: AuthFile,
  login: LoginFor,
  path: string,
  env: Readonly<NodeJS.ProcessEnv>,
): Promise<Credentials | null> {
  const entries = objectOf(config.auths) as Readonly<Record<string, AuthEntry>>;
  const helpers = objectOf(config.credHelpers);
  for (const key of keysOf(login)) {
    const helper = own(helpers, key);
    if (typeof helper === 'string') {
      const found = await askHelper(helper, key, path, env);
      if (found !== null) return found;
    }
    const entry = own(entries, key);
    const found = entry === undefined ? null : readEntry(entry, key, path);
    if (found !== null) return found;
  }
  // As in Docker, the credential store is queried only by the registry's name.
  const { credsStore } = config;
  return typeof credsStore === 'string' && credsStore !== ''
    ? askHelper(credsStore, registryKey(login), path, env)
    : null;
}

/**
 * From the most specific to the registry: containers-auth.json(5) has keys with a path; Docker has hosts, which older
 * versions wrote as URLs.
 */
function keysOf({ host, repository }: LoginFor): readonly string[] {
  const parts = repository.split('/');
  const paths = parts.map((_, index) => `${host}/${parts.slice(0, parts.length - index).join('/')}`);
  if (host === 'docker.io') return [...paths, host, HUB_KEY, 'index.docker.io', 'registry-1.docker.io'];
  return [
    ...paths,
    host,
    `https://${host}`,
    `https://${host}/`,
    `https://${host}/v1/`,
    `https://${host}/v2/`,
    `http://${host}`,
  ];
}

function registryKey({ host }: LoginFor): string {
  return host === 'docker.io' ? HUB_KEY : host;
}

function readEntry(entry: AuthEntry, key: string, path: string): Credentials | null {
  if (typeof entry !== 'object') return null;
  const { auth, username, password, identitytoken, registrytoken } = entry;
  if (given(registrytoken)) return { kind: 'registry-token', token: registrytoken };
  if (given(identitytoken)) return { kind: 'identity-token', token: identitytoken };
  if (given(auth)) {
    const text = Buffer.from(auth, 'base64').toString('utf8');
    const colon = text.indexOf(':');
    if (colon < 0) throw new CommandError(`${path}: the login for ${key} is damaged`, { hint: 'Log in again.' });
    // Docker pads passwords with NUL.
    return { kind: 'basic', username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, '') };
  }
  return given(username) && typeof password === 'string' ? { kind: 'basic', username, password } : null;
}

async function askHelper(
  helper: string,
  server: string,
  path: string,
  env: Readonly<NodeJS.ProcessEnv>,
): Promise<Credentials | null> {
  const program = `docker-credential-${helper}`;
  if (!/^[\w.-]+$/.test(helper))
    throw new CommandError(`${path} names a credential helper ${JSON.stringify(helper)}, which is not a program name`);
  const { code, stdout, stderr } = await runHelper(program, server, path, env);
  if (code !== 0) {
    // The protocol has no exit code for it; all helpers print this text.
    if (/credentials not found/i.test(`${stdout} ${stderr}`)) return null;
    throw new CommandError(
      `${program} failed for ${server}: ${(stdout.trim() || stderr.trim()).split('\n', 1)[0] ?? ''}`,
      {
        hint: `It is named in ${path}. Try: echo ${server} | ${program} get`,
      },
    );
  }
  // The output is not quoted, since it may contain the secret.
  const { Username: username, Secret: secret } = objectOf(parseJson(stdout));
  if (typeof username !== 'string' || typeof secret !== 'string') {
    throw new CommandError(`${program} did not print a login`, {
      hint: `It is named in ${path}. Try: echo ${server} | ${program} get`,
    });
  }
  return username === TOKEN_USER
    ? { kind: 'identity-token', token: secret }
    : { kind: 'basic', username, password: secret };
}

async function runHelper(
  program: string,
  input: string,
  path: string,
  env: Readonly<NodeJS.ProcessEnv>,
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  try {
    const child = spawn(program, ['get'], { env, stdio: ['pipe', 'pipe', 'pipe'] });
    // A helper that does not read its input may have ended before it is written.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    const [stdout, stderr] = await Promise.all([readText(child.stdout), readText(child.stderr), once(child, 'close')]);
    return { code: child.exitCode, stdout, stderr };
  } catch (cause) {
    throw new CommandError(`the credential helper ${program} cannot be run`, {
      hint: `It is named in ${path}; install it, or log in without a helper.`,
      cause,
    });
  }
}

function given(text: unknown): text is string {
  return typeof text === 'string' && text !== '';
}

function own<T>(object: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}
