/**
 * Debian 13 in a folder, for its newer clients: made by debootstrap, entered by chroot. Nothing on this machine is
 * changed but that folder.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { missingPrograms, must, run } from '../programs.ts';
import { type Machine, machineAt } from './machine.ts';

const SUITE = 'trixie';
const MIRROR = 'http://deb.debian.org/debian';
const PACKAGES = [
  'docker.io',
  'docker-cli',
  'podman',
  'buildah',
  'containerd',
  'skopeo',
  'umoci',
  'oras',
  'crane',
  'curl',
  'ca-certificates',
] as const;

/** A folder with Debian 13. */
export interface NewerDebian {
  readonly machine: Machine;
  /** Unmounts whatever is mounted in it. */
  close(): Promise<void>;
}

/**
 * Makes it below `root`, or takes it as it is where it was made before. `shared`: the folder of images and storages,
 * the same inside and outside. `tell` gets what was left out. Throws, saying why, where it cannot be made.
 */
export async function openNewerDebian(
  root: string,
  shared: string,
  tell: (message: string) => void,
): Promise<NewerDebian> {
  if (process.getuid?.() !== 0) throw new Error('--newer needs root, for chroot and mounts');
  if (!(await isReady(root))) {
    const missing = missingPrograms('debootstrap', 'chroot');
    if (missing.length > 0) throw new Error(`--newer needs ${missing.join(', ')}: apt-get install debootstrap`);
    tell(`making Debian 13 in ${root}: some minutes`);
    await must('debootstrap', ['--variant=minbase', SUITE, root, MIRROR]);
    // Packages start no daemons there.
    await writeFile(join(root, 'usr/sbin/policy-rc.d'), '#!/bin/sh\nexit 101\n', { mode: 0o755 });
    await must('chroot', [root, 'apt-get', 'update']);
    for (const name of PACKAGES) {
      const { code } = await run(
        'chroot',
        [root, 'apt-get', 'install', '--yes', '--quiet', '--no-install-recommends', name],
        {
          env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
        },
      );
      if (code !== 0) tell(`Debian 13 has no package ${name} that installs`);
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
    await mount(join(root, shared), '--bind', shared);
  } catch (error) {
    await close();
    throw error;
  }
  return { machine: machineAt('Debian 13', root), close };
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
