/**
 * `docker-daemon:NAME[:TAG]`: an image of a Docker engine, as `docker save` gets it (Docker Engine API, "Export an
 * image"). The engine is found as the docker command finds it: by `DOCKER_HOST`, `DOCKER_TLS_VERIFY` and
 * `DOCKER_CERT_PATH`.
 */
import { readFile } from 'node:fs/promises';
import { type IncomingMessage, request as requestHttp, type RequestOptions } from 'node:http';
import { request as requestHttps } from 'node:https';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import type { ImageSource } from '../../../bucket/image-source.ts';
import { CommandError } from '../../cli/errors.ts';
import { openSpooledArchive } from '../archive.ts';
import { chooseSavedImage } from '../docker-archive.ts';
import type { SourceOptions } from '../source.ts';

/** The most bytes of an error message that are read. */
const MESSAGE_MAX = 4096;

/** Opens an image of the engine. Throws {@link CommandError}. */
export async function openDaemonImage(image: string, options: SourceOptions): Promise<ImageSource> {
  const engine = await engineOf(options.env);
  const response = await ask(engine, `/images/${encodeURIComponent(image)}/get`, options.signal);
  if (response.statusCode !== 200) {
    const message = messageOf((await readText(response)).slice(0, MESSAGE_MAX));
    throw new CommandError(`the Docker engine at ${engine.title} cannot export ${image}: ${message}`, {
      hint: response.statusCode === 404 ? 'List its images with: docker images' : 'Check the log of the engine.',
    });
  }
  return openSpooledArchive(response, `${image} of the Docker engine`, 'is saved by the engine', options, (archive) =>
    // The answer has only this image, under all of its names.
    chooseSavedImage(archive, undefined),
  );
}

interface Engine {
  readonly title: string;
  readonly options: RequestOptions;
  readonly request: typeof requestHttp;
}

async function engineOf(env: Readonly<NodeJS.ProcessEnv>): Promise<Engine> {
  const { DOCKER_HOST, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH } = env;
  const host = DOCKER_HOST === undefined || DOCKER_HOST === '' ? 'unix:///var/run/docker.sock' : DOCKER_HOST;
  const path = /^unix:\/\/(\/.*)$/.exec(host)?.[1];
  if (path !== undefined) return { title: path, options: { socketPath: path }, request: requestHttp };
  const url = /^(?:tcp|https?):\/\//.test(host) && URL.canParse(host) ? new URL(host.replace(/^tcp/, 'http')) : null;
  if (url === null)
    throw new CommandError(`DOCKER_HOST is ${JSON.stringify(host)}, which is neither unix:// nor tcp://`, {
      hint: 'Pipe the image instead: docker save NAME | gantry publish docker-archive:- NAME:TAG',
    });
  const isTls = (DOCKER_TLS_VERIFY !== undefined && DOCKER_TLS_VERIFY !== '') || url.protocol === 'https:';
  const address = {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (isTls ? 2376 : 2375) : url.port,
  };
  if (!isTls) return { title: host, options: address, request: requestHttp };
  const folder = DOCKER_CERT_PATH ?? join(homedir(), '.docker');
  try {
    const [ca, cert, key] = await Promise.all(
      ['ca.pem', 'cert.pem', 'key.pem'].map((name) => readFile(join(folder, name))),
    );
    return { title: host, options: { ...address, ca, cert, key } as RequestOptions, request: requestHttps };
  } catch (cause) {
    throw new CommandError(`the certificates for the Docker engine at ${host} cannot be read in ${folder}`, {
      cause,
      hint: 'Set DOCKER_CERT_PATH to the folder with ca.pem, cert.pem and key.pem.',
    });
  }
}

function ask(
  { title, options, request }: Engine,
  path: string,
  signal: AbortSignal | undefined,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { ...options, path, headers: { host: 'docker' }, ...(signal !== undefined && { signal }) },
      resolve,
    );
    sent.on('error', (cause) => {
      if (signal?.aborted === true) reject(signal.reason as Error);
      else
        reject(
          new CommandError(`no Docker engine answers at ${title}`, {
            cause,
            hint: 'Is it running, and may this user use it? DOCKER_HOST names another one.',
          }),
        );
    });
    sent.end();
  });
}

/** The `message` of the engine's errors, or the text itself. */
function messageOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === 'string' ? message : text;
  } catch {
    return text;
  }
}
