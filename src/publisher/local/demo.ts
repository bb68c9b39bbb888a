/** The demo image of a new local registry: put there once, by the ordinary publish, and never again, so that whoever removes it has removed it. */
import { stat, writeFile } from 'node:fs/promises';
import { createSigner } from '../../manifest/signing/jws.ts';
import { DEMO_IMAGE, openDemoImage } from './demo-image.ts';
import { loadOrMakeKey } from '../publish/key-file.ts';
import { createPublisher } from '../publish/publish.ts';
import { readRealmTable } from '../cli/realm-table.ts';
import type { LocalServer } from './server.ts';
import { OWN_CONFIG } from './wrangler-config.ts';

/** Publishes the demo image into a store that never had it. `keyFile`: the key that signs, made where there is none. */
export async function seedDemo(
  { folder, target }: Pick<LocalServer, 'folder' | 'target'>,
  keyFile: string,
  {
    config = OWN_CONFIG,
    signal,
    tell,
  }: { readonly config?: string; readonly signal?: AbortSignal; readonly tell: (message: string) => void },
): Promise<void> {
  const seeded = await stat(folder.seeded).then(
    () => true,
    () => false,
  );
  if (seeded) return;
  const { key, made } = await loadOrMakeKey(keyFile);
  if (made) tell(`made a signing key: ${keyFile}`);
  const publisher = await createPublisher({
    store: target.store,
    realms: await readRealmTable(config),
    signer: createSigner(key),
    signal,
  });
  await publisher.publish(openDemoImage(), DEMO_IMAGE);
  await writeFile(folder.seeded, '');
}
