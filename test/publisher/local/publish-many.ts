/**
 * A publisher process for tests: `publish-many.ts STATE FOLDER NAME PREFIX COUNT` publishes the image in FOLDER under
 * COUNT tags of NAME, eight at once.
 */
import { newKey } from '../../../src/publisher/publish/key-file.ts';
import { createSigner } from '../../../src/manifest/signing/jws.ts';
import { forEachLimit } from '../../../src/bucket/concurrency.ts';
import { openLocal } from '../../../src/publisher/local/open-local.ts';
import { createPublisher } from '../../../src/publisher/publish/publish.ts';
import { openDir } from '../../../src/publisher/sources/dir.ts';
import { nameOf, tagOf } from '../gc-bucket.ts';

const [state = '', folder = '', name = '', prefix = '', count = ''] = process.argv.slice(2);
const target = await openLocal(state);
try {
  const publisher = await createPublisher({ store: target.store, realms: [], signer: createSigner(newKey()) });
  const source = await openDir(folder);
  const tags = Array.from({ length: Number(count) }, (_, index) => tagOf(`${prefix}${String(index)}`));
  await forEachLimit(tags, 8, async (tag) => {
    await publisher.publish(source, { name: nameOf(name), tag });
  });
} finally {
  await target.close();
}
