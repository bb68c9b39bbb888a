/** Publishes the demo image of a new local registry once, so that it stays removed after `gantry rm`. */
import { stat, writeFile } from 'node:fs/promises';
import { createSigner } from '../../manifest/signing/jws.ts';
import { DEMO_IMAGE, openDemoImage } from './demo-image.ts';
import { loadOrMakeKey } from '../publish/key-file.ts';
import { createPublisher } from '../publish/publish.ts';
import { readRealmTable } from '../cli/realm-table.ts';
import type { LocalServer } from './server.ts';
import { OWN_CONFIG } from './wrangler-config.ts';

/**
 * Publishes the demo image into a store that never had it. `keyFile` is the signing key, created if it does not exist.
 */
export async function seedDemo(
  { folder, target }: Pick<LocalServer, 'folder' | 'target'>,
  keyFile: string,
  {
    config = OWN_CONFIG,
    signal,
    onMessage,
  }: { readonly config?: string; readonly signal?: AbortSignal; readonly onMessage: (message: string) => void },
): Promise<void> {
  const seeded = await stat(folder.seeded).then(
    () => true,
    () => false,
  );
  if (seeded) return;
  const { key, made } = await loadOrMakeKey(keyFile);
  if (made) onMessage(`created a signing key: ${keyFile}`);
  const publisher = await createPublisher({
    store: target.store,
    realms: await readRealmTable(config),
    signer: createSigner(key),
    signal,
  });
  await publisher.publish(openDemoImage(), DEMO_IMAGE);
  await writeFile(folder.seeded, '');
}
