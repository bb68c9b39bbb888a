/** cosign: signatures with a key, without a transparency log. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isBefore } from '../../../src/manifest/clients/limits.ts';
import { parseVersion } from '../matrix/expect.ts';
import { must } from '../programs.ts';
import { digestAt, type PushBench, type PushClient, type StartedClient, type Step, versionBy } from './client.ts';

/** Signs at the endpoint, and verifies at the edge. */
export const cosign: PushClient = { title: 'cosign', programs: ['cosign'], start };

async function start({ push, edge, folder, machine, layout }: PushBench): Promise<StartedClient> {
  await mkdir(folder, { recursive: true });
  const env = { HOME: folder, COSIGN_PASSWORD: '', COSIGN_EXPERIMENTAL: '1' };
  const command = (...args: readonly string[]): Promise<string> => machine.must('cosign', args, { env });
  const version = await versionBy(machine, 'cosign', 'version');
  const hasBundles = !isBefore(parseVersion(version), [3, 0]);
  await command('generate-key-pair', '--output-key-prefix', join(folder, 'ours'));
  await command('generate-key-pair', '--output-key-prefix', join(folder, 'theirs'));

  /** Pushes an image, signs it, and verifies it at the edge: with our key it is signed, with another key it is not. */
  const signed = (way: string, sign: readonly string[], verify: readonly string[]): Step[] => {
    const name = `cosign/${way.replaceAll(' ', '-')}`;
    return [
      {
        title: `sign, ${way}`,
        run: async () => {
          const copy = ['copy', '--quiet', '--dest-tls-verify=false', `oci:${layout}:latest`];
          await must('skopeo', [...copy, `docker://${push}/${name}:1`]);
          const digest = String(await digestAt(edge, name, '1'));
          const key = ['--key', join(folder, 'ours.key')];
          await command('sign', '--yes', ...key, ...sign, `${push}/${name}@${digest}`);
        },
      },
      {
        title: `verify, ${way}`,
        run: async () => {
          const options = ['--insecure-ignore-tlog=true', ...verify];
          await command('verify', ...options, '--key', join(folder, 'ours.pub'), `${edge}/${name}:1`);
          const stranger = ['verify', ...options, '--key', join(folder, 'theirs.pub'), `${edge}/${name}:1`];
          const { code } = await machine.run('cosign', stranger, { env });
          if (code === 0) throw new Error('it is verified with a key that did not sign it');
        },
      },
    ];
  };
  if (!hasBundles)
    return {
      version,
      steps: [
        ...signed('by tag', ['--tlog-upload=false', '--registry-referrers-mode=legacy'], []),
        ...signed(
          'by referrer',
          ['--tlog-upload=false', '--registry-referrers-mode=oci-1-1'],
          ['--experimental-oci11'],
        ),
      ],
    };
  // Since version 3 signatures are bundles, which are referrers, and services are named by a file.
  const config = join(folder, 'signing-config.json');
  await command('signing-config', 'create', '--out', config);
  const old = ['--tlog-upload=false', '--use-signing-config=false', '--new-bundle-format=false'];
  return {
    version,
    steps: [
      ...signed('by bundle', ['--signing-config', config], []),
      ...signed('by tag', [...old, '--registry-referrers-mode=legacy'], ['--new-bundle-format=false']),
    ],
  };
}
