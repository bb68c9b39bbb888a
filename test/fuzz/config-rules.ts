/** What must hold of every image config that is made of a schema 1. */
import { configFromSchema1, isUnreadable } from '../../src/manifest/from-schema1.ts';
import { sha256Of } from '../../src/manifest/signing/sha256.ts';
import type { Digest } from '../../src/registry/digest.ts';
import type { Oracle } from './oracle.ts';
import { RuleError } from './schema1-rules.ts';

const diffIdOf = (blob: Digest): string => sha256Of(new TextEncoder().encode(blob));

/**
 * Makes the config of a payload and checks it: against moby if there is an oracle, and by rules that need none. Returns
 * the config, or null if there is none. Throws {@link RuleError}.
 */
export async function checkConfig(payload: Uint8Array, oracle: Oracle | null): Promise<Uint8Array | null> {
  let ours: Uint8Array | null = null;
  let reason = '';
  try {
    ours = configFromSchema1(payload, diffIdOf);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    reason = error.message;
  }
  if (oracle !== null) {
    const theirs = await oracle.config(payload);
    if (theirs.kind === 'payload' && ours === null) throw new RuleError(`only we refuse: ${reason}`);
    if (theirs.kind === 'refused' && ours !== null) throw new RuleError(`moby refuses: ${theirs.explanation}`);
    if (theirs.kind === 'payload' && ours !== null && Buffer.compare(theirs.payload, ours) !== 0) {
      throw new RuleError(
        `the configs differ\n  theirs ${Buffer.from(theirs.payload).toString('latin1')}\n  ours   ${Buffer.from(ours).toString('latin1')}`,
      );
    }
  }
  if (ours !== null) checkShape(ours);
  return ours;
}

/** The config has its own layers and history, sorted members, and none that belongs to the v1 API. */
function checkShape(config: Uint8Array): void {
  const value = JSON.parse(new TextDecoder().decode(config)) as Record<string, unknown>;
  const { rootfs, history } = value as {
    rootfs: { type: string; diff_ids?: string[] };
    history: { empty_layer?: boolean }[];
  };
  const real = history.filter(({ empty_layer }) => empty_layer !== true).length;
  if (rootfs.type !== 'layers' || (rootfs.diff_ids?.length ?? 0) !== real)
    throw new RuleError('layers and history differ');
  for (const key of ['id', 'parent', 'Size', 'parent_id', 'layer_id', 'throwaway']) {
    if (Object.hasOwn(value, key)) throw new RuleError(`the config has the member ${key} of the v1 API`);
  }
}
