/**
 * A newer Debian in a folder, for its newer clients: made by debootstrap, entered by chroot. Nothing on this machine is
 * changed but that folder.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { missingPrograms, must, run } from '../programs.ts';
import { type Machine, machineAt } from './machine.ts';

const MIRROR = 'http://deb.debian.org/debian';

/** A release of Debian, and its clients. */
export interface DebianRelease {
  readonly title: string;
  readonly suite: string;
  readonly packages: readonly string[];
}

/** The stable release, from which the matrix pulls. */
export const DEBIAN_13: DebianRelease = {
  title: 'Debian 13',
  suite: 'trixie',
  packages: [
    ...['docker.io', 'docker-cli', 'podman', 'buildah', 'containerd', 'skopeo', 'umoci', 'oras', 'crane', 'curl'],
    'ca-certificates',
  ],
};

/** The release in preparation, which has Docker 28 and buildx. */
export const DEBIAN_14: DebianRelease = {
  title: 'Debian 14',
  suite: 'forky',
  packages: [
    ...[
      'docker.io',
      'docker-cli',
      'docker-buildx',
      'containerd',
      'runc',
      'podman',
      'buildah',
      'skopeo',
      'oras',
      'crane',
    ],
    ...['cosign', 'ca-certificates'],
  ],
};

/** A folder with a newer Debian. */
export interface NewerDebian {
  readonly machine: Machine;
  /** Unmounts whatever is mounted in it. */
  close(): Promise<void>;
}

/**
 * Makes the release below `root`, or takes it as it is where it was made before. `shared`: folders that are the same inside and
 * outside. `programs`: one of them, with more programs. `tell` gets what was left out. Throws, saying why, where it cannot be made.
 */
export async function openNewerDebian(
  root: string,
  shared: string | readonly string[],
  tell: (message: string) => void,
  { title, suite, packages }: DebianRelease = DEBIAN_13,
  programs?: string,
): Promise<NewerDebian> {
  if (process.getuid?.() !== 0) throw new Error(`${title} in a folder needs root, for chroot and mounts`);
  if (!(await isReady(root))) {
    const missing = missingPrograms('debootstrap', 'chroot');
    if (missing.length > 0)
      throw new Error(`${title} in a folder needs ${missing.join(', ')}: apt-get install debootstrap`);
    tell(`making ${title} in ${root}: some minutes`);
    // The debootstrap of a release does not know the next one by name. All since Debian 8 are made as `sid` is.
    await must('debootstrap', ['--variant=minbase', suite, root, MIRROR, '/usr/share/debootstrap/scripts/sid']);
    // The index of a release in preparation is valid for a week, and a mirror may be older.
    await writeFile(join(root, 'etc/apt/apt.conf.d/90-mirror'), 'Acquire::Check-Valid-Until "false";\n');
    // Packages start no daemons there.
    await writeFile(join(root, 'usr/sbin/policy-rc.d'), '#!/bin/sh\nexit 101\n', { mode: 0o755 });
    await must('chroot', [root, 'apt-get', 'update']);
    for (const name of packages) {
      const { code } = await run(
        'chroot',
        [root, 'apt-get', 'install', '--yes', '--quiet', '--no-install-recommends', name],
        {
          env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
        },
      );
      if (code !== 0) tell(`${title} has no package ${name} that installs`);
    }
    await writeFile(join(root, READY), '');
  }
  const mounted: string[] = [];
  const mount = async (target: string, ...args: readonly string[]): Promise<void> => {
    await mkdir(target, { recursive: true });
    await must('mount', [...args, target]);
    mounted.push(target);
  };
  const close = async (): Promise<void> => {
    for (const target of mounted.reverse()) await must('umount', ['--recursive', target]);
    mounted.length = 0;
  };
  try {
    // Daemons want a root that is a mount point. Private, so that what they mount goes with it.
    await mount(root, '--bind', root);
    await must('mount', ['--make-rprivate', root]);
    await mount(join(root, 'proc'), '-t', 'proc', 'proc');
    for (const name of ['sys', 'dev']) {
      await mount(join(root, name), '--rbind', `/${name}`);
      // Unmounting the copy must not unmount what it is a copy of.
      await must('mount', ['--make-rslave', join(root, name)]);
    }
    await mount(join(root, 'run'), '-t', 'tmpfs', 'tmpfs');
    for (const place of [shared].flat()) await mount(join(root, place), '--bind', place);
  } catch (error) {
    await close();
    throw error;
  }
  return { machine: machineAt(title, root, programs), close };
}

/** Deletes the folder; refuses where anything is still mounted in it, since that would be deleted too. */
export async function removeNewerDebian(root: string): Promise<void> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' ')[1] ?? '');
  const still = mounts.filter((target) => target === root || target.startsWith(`${root}/`));
  if (still.length > 0) throw new Error(`not deleted: ${still.join(', ')} is still mounted`);
  await must('rm', ['-rf', '--one-file-system', root]);
}

const READY = 'gantry-interop-ready';

async function isReady(root: string): Promise<boolean> {
  return (await run('test', ['-e', join(root, READY)])).code === 0;
}
