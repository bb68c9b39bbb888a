import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { parseRepositoryName, parseTag } from '../../registry/name.ts';
import { CommandError, usageError } from '../cli/errors.ts';

interface Options {
  readonly manifest: string;
  readonly config: string;
  readonly name: string;
  readonly tag: string;
  readonly compat?: true;
  readonly json?: true;
}

/** Adds `gantry convert`. */
export function register(program: Command): void {
  program
    .command('convert')
    .description('print the schema 1 payload of a schema 2 or OCI image: the exact bytes of its digest')
    .requiredOption('--manifest <file>', 'the manifest; only its layers are used')
    .requiredOption('--config <file>', 'the image config, byte for byte')
    .requiredOption('--name <name>', 'the repository name in the payload')
    .requiredOption('--tag <tag>', 'the tag in the payload')
    .option('--compat', 'convert every image that docker/distribution 2.8 converts, even an invalid one')
    .option('--json', 'print the digest and the payload as JSON')
    .addHelpText(
      'after',
      `
The payload is not signed, and no bucket is opened.

Examples:
  $ gantry convert --manifest manifest.json --config config.json --name library/busybox --tag latest > payload
  $ gantry convert --manifest manifest.json --config config.json --name app --tag v1 --compat | sha256sum

Exit codes: 0 converted, 1 not convertible (standard error has the reason), 2 usage error.`,
    )
    .action(run);
}

async function run(options: Options): Promise<void> {
  const name = parseRepositoryName(options.name);
  const tag = parseTag(options.tag);
  if (name === null) throw usageError(`--name ${options.name} is not a valid repository name`);
  if (tag === null) throw usageError(`--tag ${options.tag} is not a valid tag`);
  const { buildSchema1 } = await import('../../manifest/schema1.ts');
  const [manifest, config] = [await read(options.manifest), await read(options.config)];
  const built = buildSchema1(
    { config, layers: layersOf(manifest, options.manifest), name, tag },
    options.compat === true ? 'compat' : 'strict',
  );
  if (built.kind === 'refused') {
    throw new CommandError(`the image cannot be converted to schema 1: ${built.explanation}`, {
      hint: `See the reason ${built.reason} in docs/reference/errors.md.`,
    });
  }
  if (options.json === true) {
    const { sha256Hex } = await import('../../manifest/signing/sha256.ts');
    process.stdout.write(
      `${JSON.stringify({ digest: `sha256:${sha256Hex(built.payload)}`, payload: new TextDecoder().decode(built.payload) })}\n`,
    );
  } else {
    process.stdout.write(built.payload);
  }
}

/** The layers' digests, unchecked: the converter decides whether schema 1 can contain them. */
function layersOf(bytes: Uint8Array, file: string): readonly string[] {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new CommandError(`${file} is not JSON`, { cause });
  }
  const layers = (value as { layers?: unknown } | null)?.layers;
  if (!Array.isArray(layers))
    throw new CommandError(`${file} has no layers`, { hint: 'Give the manifest of a single image, schema 2 or OCI.' });
  return layers.map((layer: unknown) => {
    const { digest } = (layer ?? {}) as { digest?: unknown };
    return typeof digest === 'string' ? digest : '';
  });
}

async function read(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw new CommandError(`${file} cannot be read`, { cause });
  }
}
