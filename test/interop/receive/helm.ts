/** Helm: charts. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type PushBench, type PushClient, type StartedClient, versionBy } from './client.ts';

/** Pushes a chart, and pulls it from the edge. */
export const helm: PushClient = { title: 'helm', programs: ['helm'], start };

async function start({ push, edge, folder, machine }: PushBench): Promise<StartedClient> {
  await mkdir(join(folder, 'pulled'), { recursive: true });
  const env = { HOME: folder };
  const command = (...args: readonly string[]): Promise<string> => machine.must('helm', args, { env });
  const chart = join(folder, 'hello');
  await mkdir(join(chart, 'templates'), { recursive: true });
  await Promise.all([
    writeFile(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: hello\nversion: 0.1.0\ndescription: says hello\n'),
    writeFile(
      join(chart, 'templates', 'hello.yaml'),
      'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  text: hello\n',
    ),
  ]);
  const archive = join(folder, 'hello-0.1.0.tgz');
  return {
    version: await versionBy(machine, 'helm', 'version', '--short'),
    steps: [
      {
        title: 'push',
        run: async () => {
          await command('package', chart, '--destination', folder);
          await command('push', archive, `oci://${push}/charts`, '--plain-http');
        },
      },
      {
        title: 'pull',
        run: async () => {
          const pull = ['pull', `oci://${edge}/charts/hello`, '--version', '0.1.0', '--plain-http'];
          await command(...pull, '--destination', join(folder, 'pulled'));
          const pulled = await readFile(join(folder, 'pulled', 'hello-0.1.0.tgz'));
          if (!pulled.equals(await readFile(archive))) throw new Error('the chart is not as pushed');
        },
      },
      {
        title: 'template',
        run: async () => {
          // The newest version that fits: Helm reads the list of tags.
          const rendered = await command(
            'template',
            'there',
            `oci://${edge}/charts/hello`,
            '--version',
            '^0.1',
            '--plain-http',
          );
          if (!rendered.includes('name: there')) throw new Error(`rendered ${rendered}`);
        },
      },
    ],
  };
}
