/** What must hold of every conversion and every signature, whatever the config. */
import { createHash } from 'node:crypto';
import { buildSchema1, EMPTY_LAYER, type Schema1Input } from '../../src/manifest/schema1.ts';
import { createSigner, SignatureError, verifyDocument } from '../../src/manifest/signing/jws.ts';
import type { PrivateKey } from '../../src/manifest/signing/key.ts';
import type { Oracle } from './oracle.ts';

/** A rule that was broken. */
export class RuleError extends Error {
  override readonly name = 'RuleError';
}

interface Payload {
  readonly schemaVersion: unknown;
  readonly name: unknown;
  readonly tag: unknown;
  readonly fsLayers: readonly { readonly blobSum: string }[];
  readonly history: readonly { readonly v1Compatibility: string }[];
}

/** A time that every signature bears, so that the bytes are the same at each run. */
const TIME = '2026-11-24T00:08:56Z';

/**
 * Converts a config in both modes and checks the result: against the oracle if there is one, and against what can be
 * told without it. Gives the payload of compat mode, or null if it was refused. Throws {@link RuleError}.
 */
export async function checkConversion(input: Schema1Input, oracle: Oracle | null): Promise<Uint8Array | null> {
  const compat = buildSchema1(input, 'compat');
  if (oracle !== null) {
    const theirs = await oracle.build(input);
    if (theirs.kind !== compat.kind) {
      throw new RuleError(
        compat.kind === 'payload'
          ? `distribution refuses: ${theirs.kind === 'refused' ? theirs.explanation : ''}`
          : `only we refuse: ${compat.explanation}`,
      );
    }
    if (theirs.kind === 'payload' && compat.kind === 'payload' && !same(theirs.payload, compat.payload)) {
      throw new RuleError(`the payloads differ\n  theirs ${text(theirs.payload)}\n  ours   ${text(compat.payload)}`);
    }
  }
  const strict = buildSchema1(input, 'strict');
  if (strict.kind === 'payload' && (compat.kind === 'refused' || !same(strict.payload, compat.payload)))
    throw new RuleError('strict mode makes what compat mode does not');
  if (compat.kind === 'refused') return null;
  checkPayload(input, compat.payload, compat.entries);
  return compat.payload;
}

/** The ids are those of the layers below, and of the config at the top; the payload is what readers of JSON read. */
function checkPayload(input: Schema1Input, bytes: Uint8Array, entries: number): void {
  const payload = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Payload;
  expectSame('schemaVersion', payload.schemaVersion, 1);
  expectSame('name', payload.name, input.name);
  expectSame('tag', payload.tag, input.tag);
  expectSame('number of fsLayers', payload.fsLayers.length, entries);
  expectSame('number of history', payload.history.length, entries);
  const texts = payload.history
    .map(({ v1Compatibility }) => JSON.parse(v1Compatibility) as { id: string; throwaway?: boolean })
    .reverse();
  const sums = payload.fsLayers.map(({ blobSum }) => blobSum).reverse();
  let parent = '';
  let layer = 0;
  texts.forEach(({ id, throwaway }, index) => {
    const sum = sums[index] ?? '';
    const top = index === entries - 1;
    const hash = createHash('sha256').update(`${sum.slice(sum.indexOf(':') + 1)} ${parent}`);
    if (top) hash.update(' ').update(input.config);
    expectSame(`id of entry ${String(index)}`, id, hash.digest('hex'));
    if (throwaway !== true) expectSame(`layer of entry ${String(index)}`, sum, input.layers[layer++]);
    // The top entry may bring a `throwaway` of its own; below, none is written but for the empty layer.
    else if (!top) expectSame(`layer of entry ${String(index)}`, sum, EMPTY_LAYER.digest);
    parent = id;
  });
}

/**
 * Signs a payload twice, and verifies: by ourselves where `ourselves`, and by the oracle if there is one. Gives the
 * document. Throws {@link RuleError}.
 */
export async function checkSignature(
  key: PrivateKey,
  payload: Uint8Array,
  oracle: Oracle | null,
  ourselves: boolean,
): Promise<Uint8Array> {
  const document = createSigner(key).sign(payload, TIME);
  if (ourselves) {
    if (!same(createSigner(key).sign(payload, TIME), document)) throw new RuleError('signing again gives other bytes');
    if (!same(verifyDocument(document).payload, payload))
      throw new RuleError('our own document yields another payload');
  }
  const theirs = await oracle?.verify(document);
  if (theirs?.kind === 'refused') throw new RuleError(`libtrust refuses our signature: ${theirs.explanation}`);
  if (theirs !== undefined && !same(theirs.payload, payload)) throw new RuleError('libtrust reads another payload');
  return document;
}

/**
 * What libtrust lets pass and we do not: it verifies a document without any signature, and it does not see members
 * behind the signed part, which whoever reads the whole document would; it takes members in other case and repeats, and
 * does not read members that it does not know.
 */
const STRICTER: readonly string[] = [
  'a signature block is ambiguous',
  'the signatures are nested too deep',
  'a number in the signatures is too large',
  'the document has no signatures',
  'the document has members that are not signed',
];

/**
 * Whether we accept a document, and libtrust does: null, or the reason against it. Where we differ otherwise than by
 * {@link STRICTER}, throws {@link RuleError}.
 */
export async function checkVerification(
  document: Uint8Array,
  oracle: Oracle,
): Promise<{ readonly ours: string | null; readonly theirs: string | null }> {
  let ours: Uint8Array | null = null;
  let reason: string | null = null;
  try {
    ours = verifyDocument(document).payload;
  } catch (error) {
    if (!(error instanceof SignatureError)) throw error;
    reason = error.message;
  }
  const theirs = await oracle.verify(document);
  if (ours !== null && theirs.kind === 'refused')
    throw new RuleError(`only we accept the document; libtrust: ${theirs.explanation}`);
  if (ours !== null && theirs.kind === 'payload' && !same(ours, theirs.payload))
    throw new RuleError('libtrust reads another payload');
  if (reason !== null && theirs.kind === 'payload' && !STRICTER.includes(reason))
    throw new RuleError(`only we refuse the document: ${reason}`);
  return { ours: reason, theirs: theirs.kind === 'refused' ? theirs.explanation : null };
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function expectSame(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new RuleError(`${what} is ${String(actual)} and should be ${String(expected)}`);
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
