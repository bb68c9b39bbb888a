import { text as readText } from 'node:stream/consumers';
import type { Command } from 'commander';
import type { PrivateKey } from '../../manifest/signing/key.ts';
import type { Environment } from '../cli/environment.ts';
import { CommandError } from '../cli/errors.ts';
import { readTextFile } from '../cli/text-file.ts';
import { printMessage } from '../cli/terminal-text.ts';
import type { OpenTarget } from '../stores/target.ts';

interface Options {
  readonly force?: true;
  readonly json?: true;
}

/** Adds `gantry key` and its verbs. */
export function register(program: Command, _openTarget: OpenTarget, environment: Environment): void {
  const { keyFile } = environment;
  const key = program
    .command('key')
    .description('show, create or import the key that signs derived schema 1 manifests')
    .addHelpText(
      'after',
      `
The first \`gantry publish\` creates the key in ${keyFile}.
GANTRY_KEY names another file. Publishers that share a key make identical signatures.

Examples:
  $ gantry key show
  $ gantry key import docker-registry.pem`,
    );
  key
    .command('show')
    .description('show the key ID (kid), algorithm and file; never the private part')
    .option('--json', 'print JSON, with the public key as a JWK')
    .action((options: Options) => show(keyFile, options));
  key
    .command('create')
    .description('create a new key (ES256)')
    .option('--force', 'replace the existing key, and keep a copy of it; manifests signed with it stay valid')
    .option('--json', 'print JSON')
    .action((options: Options) => create(keyFile, options));
  key
    .command('import')
    .description('import a key: PEM (EC or RSA, as docker-registry has) or JWK')
    .argument('[file]', 'the key (default: standard input)')
    .option('--force', 'replace the existing key, and keep a copy of it')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nConvert a PKCS#8 key with: openssl ec -in key.pem -out sec1.pem')
    .action((file: string | undefined, options: Options) => importKey(keyFile, file, options));
}

async function show(path: string, options: Options): Promise<void> {
  const { isReadableByOthers, loadKey } = await import('../publish/key-file.ts');
  const key = await loadKey(path);
  if (key === null) {
    throw new CommandError(`there is no signing key at ${path}`, {
      hint: 'Create one with: gantry key create',
    });
  }
  if (await isReadableByOthers(path))
    process.stderr.write(`warning: other users can read ${path}; fix it with: chmod 600 ${path}\n`);
  await print(path, key, options);
}

async function create(path: string, options: Options): Promise<void> {
  const [{ newKey }, { writePrivateKey }] = await Promise.all([
    import('../publish/key-file.ts'),
    import('../../manifest/signing/key.ts'),
  ]);
  const key = newKey();
  await write(path, writePrivateKey(key), options);
  await print(path, key, options);
}

async function importKey(path: string, file: string | undefined, options: Options): Promise<void> {
  const { parseKey } = await import('../publish/key-file.ts');
  const text = file === undefined ? await readText(process.stdin) : await readTextFile(file);
  const key = parseKey(text, file ?? 'standard input');
  // The file keeps its format: RSA keys and JWKs are read as well.
  await write(path, text.endsWith('\n') ? text : `${text}\n`, options);
  await print(path, key, options);
}

async function write(path: string, text: string, { force }: Options): Promise<void> {
  const { writeKeyFile } = await import('../publish/key-file.ts');
  const { written, copy } = await writeKeyFile(path, text, force === true ? 'replace' : 'absent');
  if (!written) {
    throw new CommandError(`a signing key already exists at ${path}`, {
      hint: 'Replace it with --force, which keeps a copy of it.',
    });
  }
  if (copy !== null) printMessage(`the previous key is kept in ${copy}`);
}

async function print(path: string, key: PrivateKey, { json }: Options): Promise<void> {
  const { CURVES, keyId, publicJwk } = await import('../../manifest/signing/key.ts');
  const kid = keyId(key.public);
  const algorithm = key.public.kty === 'EC' ? CURVES[key.public.crv].algorithm : 'RS256';
  const text =
    json === true
      ? JSON.stringify({ kid, algorithm, file: path, jwk: publicJwk(key.public) })
      : `kid        ${kid}\nalgorithm  ${algorithm}\nfile       ${path}`;
  process.stdout.write(`${text}\n`);
}
