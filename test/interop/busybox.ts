/** A real image made by umoci from Debian's static busybox. */
import { join } from 'node:path';
import { must } from './programs.ts';

/** Programs that {@link makeBusybox} needs. */
export const BUSYBOX_PROGRAMS = ['umoci', 'skopeo', 'busybox'] as const;

/**
 * Makes the image as an OCI layout `<folder>/oci` with the tag `latest`: two layers (the program, a text file) and
 * history. Gives the layout's path.
 */
export async function makeBusybox(folder: string, text = 'made for a test'): Promise<string> {
  const layout = join(folder, 'oci');
  const image = `${layout}:latest`;
  await must('umoci', ['init', '--layout', layout]);
  await must('umoci', ['new', '--image', image]);
  await must('umoci', [
    'insert',
    '--image',
    image,
    '--history.created_by',
    'COPY busybox /bin/busybox',
    '/bin/busybox',
    '/bin/busybox',
  ]);
  const note = join(folder, 'note.txt');
  await must('sh', ['-c', `printf '%s\\n' "$1" > "$2"`, 'sh', text, note]);
  await must('umoci', [
    'insert',
    '--image',
    image,
    '--history.created_by',
    'COPY note.txt /note.txt',
    note,
    '/note.txt',
  ]);
  await must('umoci', [
    'config',
    '--image',
    image,
    '--config.cmd',
    '/bin/busybox',
    '--config.cmd',
    'cat',
    '--config.cmd',
    '/note.txt',
    '--history.created_by',
    'CMD ["/bin/busybox", "cat", "/note.txt"]',
  ]);
  await must('umoci', ['gc', '--layout', layout]);
  return layout;
}
