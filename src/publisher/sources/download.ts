/** `https://…/FILE.tar[#NAME:TAG]`: an archive on a web server, of `docker save` or with an OCI image layout. */
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import type { ImageSource } from '../../bucket/image-source.ts';
import { CommandError, usageError } from '../cli/errors.ts';
import { openSpooledArchive } from './archive.ts';
import { chooseSavedImage } from './docker-archive.ts';
import { layoutIn } from './oci-archive.ts';
import { openLayout } from './oci-layout.ts';
import type { SourceOptions } from './source.ts';

/** Opens what is at `scheme:where`. Throws {@link CommandError}. */
export async function openDownload(scheme: string, where: string, options: SourceOptions): Promise<ImageSource> {
  const text = `${scheme}:${where}`;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.host === '')
    throw usageError(`"${text}" is not a valid URL`, `Write ${scheme}://HOST/FILE.tar.`);
  const ref = url.hash === '' ? undefined : decodeURIComponent(url.hash.slice(1));
  const title = `${url.host}${url.pathname}`;
  const response = await get(url, title, options);
  if (response.body === null || !response.ok) {
    await response.body?.cancel();
    throw new CommandError(`${title} answered ${String(response.status)}`, { hint: 'Check the address.' });
  }
  const body = Readable.fromWeb(response.body as ReadableStream<Uint8Array>);
  return openSpooledArchive(body, title, 'is downloaded', options, (archive) =>
    archive.has('manifest.json') ? chooseSavedImage(archive, ref) : openLayout(layoutIn(archive), ref),
  );
}

async function get(url: URL, title: string, { creds, signal }: SourceOptions): Promise<Response> {
  const { username, password } = url;
  const login =
    creds ?? (username === '' ? undefined : `${decodeURIComponent(username)}:${decodeURIComponent(password)}`);
  const bare = new URL(url);
  [bare.username, bare.password, bare.hash] = ['', '', ''];
  try {
    // Fetch removes the credentials where it follows a redirect to another origin.
    return await fetch(bare, {
      headers: login === undefined ? {} : { authorization: `Basic ${Buffer.from(login).toString('base64')}` },
      ...(signal !== undefined && { signal }),
    });
  } catch (cause) {
    signal?.throwIfAborted();
    throw new CommandError(`${title} cannot be downloaded`, { cause, hint: 'Check the address and the network.' });
  }
}
