/** Pulling a large blob from the local store, which is written whole now, and was written in parts. */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { readRealmTable } from '../../../src/publisher/cli/realm-table.ts';
import { createSigner } from '../../../src/manifest/signing/jws.ts';
import { newKey } from '../../../src/publisher/publish/key-file.ts';
import { createPublisher } from '../../../src/publisher/publish/publish.ts';
import { parseTagged } from '../../../src/publisher/cli/image-name.ts';
import { openSource } from '../../../src/publisher/sources/open.ts';
import { steadyConnection } from '../../../src/publisher/stores/connection.ts';
import { S3Store } from '../../../src/publisher/stores/s3-store.ts';
import { listedUploads } from '../../../src/publisher/stores/unfinished-uploads.ts';
import { OWN_CONFIG } from '../../../src/publisher/local/wrangler-config.ts';
import { S3Client } from '../../../src/publisher/stores/s3/client.ts';
import { freeNetworkBuffers } from '../../../src/publisher/streams/network-buffers.ts';
import { type Bench, inTurns, type Part } from '../bench.ts';
import { type Image, makeImage } from '../images.ts';
import { atLeast, digits, type Section, shown } from '../section.ts';
import { openStage, type Stage } from '../stage.ts';
import { ratioOf, spreadOf } from '../statistics.ts';

const MIB = 2 ** 20;
const SIZE = 100 * MIB;

/** Measures the local store. */
export const localStore: Part = async (bench) => {
  const stage = await openStage(bench.folder);
  try {
    return [await pulls(bench, stage)];
  } finally {
    await stage.close();
  }
};

async function pulls({ folder, rounds, tell }: Bench, stage: Stage): Promise<Section> {
  tell(`blobs of ${digits(SIZE / MIB)} MiB`);
  const imageOf = (seed: string): Promise<Image> => makeImage(join(folder, seed), [{ seed, size: SIZE }]);
  const [cut, kept] = [await imageOf('in parts'), await imageOf('whole')];
  await publishInParts(stage, cut.folder, 'bench/parts:v1');
  await stage.publish(kept.folder, 'bench/whole:v1');
  const blobOf = ({ layers }: Image): string => layers[0]?.digest ?? '';
  const parts = {
    title: 'Gantry, written in parts as before',
    url: `${stage.gantry.url}/v2/bench/parts/blobs/${blobOf(cut)}`,
  };
  const path = `/v2/bench/whole/blobs/${blobOf(kept)}`;
  const whole = { title: 'Gantry', url: stage.gantry.url + path };
  const registry = { title: stage.dockerRegistry.title, url: stage.dockerRegistry.url + path };
  const subjects = [parts, whole, registry];
  const figures = await inTurns(subjects, rounds, async ({ title, url }) => {
    tell(title);
    const begun = performance.now();
    const received = await discard(url);
    return received / MIB / ((performance.now() - begun) / 1000);
  });
  const rateOf = (subject: (typeof subjects)[number]): readonly number[] => figures.get(subject) ?? [];
  return {
    title: 'Pulling from the local store',
    note: `One blob of ${digits(SIZE / MIB)} MiB by one client, which throws it away.`,
    columns: ['from', 'MiB/s', '÷ docker-registry'],
    rows: subjects.map((subject) => [
      subject.title,
      shown(spreadOf(rateOf(subject)), digits),
      shown(ratioOf(rateOf(subject), rateOf(registry)), digits),
    ]),
    targets: [
      atLeast('rate of a blob written whole, of one in parts', 5, ratioOf(rateOf(whole), rateOf(parts)), digits),
    ],
  };
}

/** Publishes as the local store did before: bodies of more than 64 MiB in parts. */
async function publishInParts({ s3, bucket }: Stage, folder: string, image: string): Promise<void> {
  const { AWS_ENDPOINT_URL: endpoint = '', AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = s3;
  const keys = { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY };
  const connection = steadyConnection(new S3Client({ endpoint, region: 'auto', keys }));
  const options = { connection, bucket, title: 'the local store', uploads: listedUploads(bucket) };
  const publisher = await createPublisher({
    store: new S3Store({ ...options, checks: 'none' }),
    realms: await readRealmTable(OWN_CONFIG),
    signer: createSigner(newKey()),
  });
  const source = await openSource(`dir:${folder}`, { env: {}, platforms: [] });
  try {
    await publisher.publish(source, parseTagged(image));
  } finally {
    await source.close();
    await connection.close();
  }
}

/** Reads an answer to its end, and gives its bytes. */
async function discard(url: string): Promise<number> {
  const [answer] = (await once(get(url, { agent: false }), 'response')) as [IncomingMessage];
  if (answer.statusCode !== 200) throw new Error(`${url} answered ${String(answer.statusCode)}`);
  let received = 0;
  answer.on('data', (chunk: Buffer) => {
    freeNetworkBuffers(chunk.length);
    received += chunk.length;
  });
  await finished(answer);
  return received;
}
