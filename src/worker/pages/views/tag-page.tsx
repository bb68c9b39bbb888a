/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { Child } from 'hono/jsx';
import { normalizeAccept, normalizeUserAgent, RULES } from '../../../manifest/negotiate.ts';
import { helpPath, reasonRow } from '../../../registry/errors.ts';
import { helpOf } from '../../../registry/help.ts';
import { FORM_TITLE } from '../../../registry/media-type.ts';
import type { RepositoryName, Tag } from '../../../registry/name.ts';
import { formatPlatform } from '../../../registry/platform.ts';
import type { TagRecord } from '../../../registry/records.ts';
import { CLIENTS } from '../../../manifest/clients/known-clients.ts';
import { type Outcome, outcomeOf, PASTED_MAX_LENGTH } from '../clients.ts';
import { FormBadge, Legend } from './form-badge.tsx';
import { NameParts } from './home-page.tsx';
import type { ChildView, ConfigView, ManifestView } from '../image-view.ts';
import { ImageConfig, Layers, Pairs } from './image-sections.tsx';
import { Age, Command, Page, type Place } from './layout.tsx';
import { archivePath, repositoryPath, tagPath } from '../paths.ts';
import { formatBytes, visible } from '../visible-text.ts';

/** The content of a tag's page. */
export interface TagView {
  readonly name: RepositoryName;
  readonly tag: Tag;
  readonly isProtected: boolean;
  readonly record: TagRecord;
  /** Whether its published schema 1 has an empty name. */
  readonly nameless: boolean;
  /** The image's manifest (see `shownForm`); null if the tag has none. */
  readonly manifest: ManifestView | null;
  /** Its config; null if it is missing or unreadable. */
  readonly config: ConfigView | null;
  /** The entries of the tag's list; empty for a single image. */
  readonly children: readonly ChildView[];
  /** The client chosen below "What will my client get?"; null: none. */
  readonly asked: Outcome | null;
}

/** A tag with its forms, the form for each client, layers and history. */
export function TagPage({
  view,
  place,
  pulls,
}: {
  readonly view: TagView;
  readonly place: Place;
  readonly pulls: Child;
}) {
  const { name, tag, isProtected, record, manifest, config, children } = view;
  const details = config ?? manifest?.details ?? null;
  const size = manifest === null ? 0 : manifest.layers.reduce((sum, layer) => sum + (layer.size ?? 0), 0);
  const facts = [
    size > 0 ? formatBytes(size) : null,
    children.length === 0 ? (details?.platform ?? null) : null,
    manifest?.artifactType ?? null,
  ];
  return (
    <Page title={`${name}:${tag}`} place={place} section="repositories">
      <nav class="crumbs" aria-label="Where you are">
        <a href="/">Repositories</a> / <a href={repositoryPath(name)}>{name}</a> / {tag}
      </nav>
      <h1>
        <NameParts name={name} />:{tag} {isProtected && <span class="chip">protected</span>}
      </h1>
      <p class="lead">
        moved <Age time={record.updated} now={place.now} />
        {facts.flatMap((fact) => (fact === null ? [] : [` · ${visible(fact, 120)}`]))}
      </p>
      <PullCommands view={view} place={place} />
      <Forms record={record} />
      {children.length > 0 && <Platforms view={view} place={place} />}
      <Clients view={view} place={place} />
      {manifest !== null && (
        <Layers
          manifest={manifest}
          history={details?.history ?? []}
          onlyOf={children.length > 0 ? (details?.platform ?? null) : null}
        />
      )}
      {details !== null && <ImageConfig config={details} />}
      {manifest !== null && manifest.annotations.length > 0 && (
        <>
          <h2>Annotations</h2>
          <Pairs pairs={manifest.annotations} />
        </>
      )}
      {pulls}
    </Page>
  );
}

function PullCommands({
  view: { name, tag, manifest },
  place: { host, isPlain },
}: {
  readonly view: TagView;
  readonly place: Place;
}) {
  const image = `${host}/${name}:${tag}`;
  const isArtifact = manifest?.kind === 'artifact';
  // Docker uses plain HTTP for registries on this machine by default; other clients need an option.
  const commands: readonly (readonly [string, string])[] = [
    ...(isArtifact
      ? ([['oras', `oras pull ${isPlain ? '--plain-http ' : ''}${image}`]] as const)
      : ([
          ['docker', `docker pull ${image}`],
          ['podman', `podman pull ${isPlain ? '--tls-verify=false ' : ''}${image}`],
        ] as const)),
    [
      'skopeo',
      `skopeo copy ${isPlain ? '--src-tls-verify=false ' : ''}docker://${image} oci:${name.slice(name.lastIndexOf('/') + 1)}:${tag}`,
    ],
    ...(isArtifact
      ? []
      : ([
          ['a file', `curl -fsS ${isPlain ? 'http' : 'https'}://${host}${archivePath(name, tag)} | docker load`],
        ] as const)),
  ];
  return (
    <section>
      <h2 id="pull">Pull</h2>
      <dl class="pull">
        {commands.map(([client, command]) => (
          <div>
            <dt>{client}</dt>
            <dd>
              <Command>{command}</Command>
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Forms({ record }: { readonly record: TagRecord }) {
  const rows = [
    ...record.forms.map((form) => ({ ...form, standing: { kind: form.source.kind } })),
    ...record.missing.map(({ form, platform, reason }) => ({
      form,
      platform,
      standing: { kind: 'missing' as const, reason },
    })),
  ];
  const hasPlatforms = rows.some(({ platform }) => platform !== undefined);
  return (
    <section>
      <h2 id="forms">Forms</h2>
      <Legend />
      <div class="scroll" role="region" aria-labelledby="forms" tabindex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Form</th>
              {hasPlatforms && <th scope="col">Platform</th>}
              <th scope="col">Digest</th>
              <th scope="col" class="num">
                Size
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr>
                <th scope="row">
                  <FormBadge form={row.form} standing={row.standing} />
                </th>
                {hasPlatforms && (
                  <td>{row.platform === undefined ? 'any' : visible(formatPlatform(row.platform), 80)}</td>
                )}
                {'digest' in row ? (
                  <>
                    <td>
                      <code class="digest">{row.digest}</code>
                      {row.source.kind === 'derived' && (
                        <div class="quiet mono">from {shortDigest(row.source.from)}</div>
                      )}
                    </td>
                    <td class="num">{formatBytes(row.length)}</td>
                  </>
                ) : (
                  <td colspan={2}>{reasonRow(row.standing.reason).message}</td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Platforms({ view: { name, children }, place }: { readonly view: TagView; readonly place: Place }) {
  return (
    <section>
      <h2 id="platforms">Platforms</h2>
      <div class="scroll" role="region" aria-labelledby="platforms" tabindex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Platform</th>
              <th scope="col">By its digest</th>
            </tr>
          </thead>
          <tbody>
            {children.map(({ platform, digest }) => (
              <tr>
                <th scope="row">{platform === null ? 'none (no image)' : visible(platform, 80)}</th>
                <td>
                  <code class="digest">{`${place.host}/${name}@${digest}`}</code>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Clients({
  view: { name, tag, record, nameless, asked },
  place,
}: {
  readonly view: TagView;
  readonly place: Place;
}) {
  const path = `${tagPath(name, tag)}#client`;
  return (
    <section>
      <h2 id="client">What will my client get?</h2>
      {asked !== null && (
        <Answer asked={asked} url={`${place.isPlain ? 'http' : 'https'}://${place.host}/v2/${name}/manifests/${tag}`} />
      )}
      <div class="scroll" role="region" aria-labelledby="client" tabindex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Client</th>
              <th scope="col">Gets</th>
            </tr>
          </thead>
          <tbody>
            {CLIENTS.map((known) => (
              <tr>
                <th scope="row">
                  <a href={`${tagPath(name, tag)}?client=${known.id}#client`}>{known.title}</a>
                </th>
                <td>
                  <Got outcome={outcomeOf(known, { name, record, nameless })} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <h3>Another client</h3>
      <form class="ask" action={path} method="get">
        <label class="wide" for="headers">
          The headers that the client sends, one a line. Docker before 1.10 sends none.
          <textarea
            id="headers"
            name="headers"
            rows={4}
            maxlength={PASTED_MAX_LENGTH}
            class="mono"
            spellcheck={false}
            placeholder={'Accept: …\nUser-Agent: …'}
          >
            {asked === null ? '' : visible(asked.headers)}
          </textarea>
        </label>
        <div>
          <button type="submit">Ask</button>
        </div>
      </form>
    </section>
  );
}

function Answer({ asked, url }: { readonly asked: Outcome; readonly url: string }) {
  const { title, client, choice } = asked;
  const accept = normalizeAccept(client.accept);
  const userAgent = choice.varies.userAgent ? normalizeUserAgent(client) : null;
  // Only normalized values: text of the client must not appear in a command.
  const headers = [
    accept === null ? `-H 'Accept:'` : `-H 'Accept: ${accept}'`,
    ...(userAgent === null ? [] : [`-A '${userAgent}'`]),
  ];
  return (
    <div class="answer" role="status">
      <p>
        <b>{title}</b> gets <Got outcome={asked} />
      </p>
      <p>{RULES[choice.rule]}</p>
      {choice.kind === 'form' ? (
        <p>
          <code>{choice.form.mediaType}</code> <code>{choice.form.digest}</code>
        </p>
      ) : (
        <>
          <p>{reasonRow(choice.reason).message}</p>
          {choice.available.length > 0 && (
            <p>There is: {choice.available.map((one) => visible(one, 120)).join(', ')}</p>
          )}
        </>
      )}
      <Command>{`curl -sSI ${headers.join(' ')} ${url}`}</Command>
    </div>
  );
}

function Got({ outcome: { choice, obstacle } }: { readonly outcome: Pick<Outcome, 'choice' | 'obstacle'> }) {
  const but = obstacle !== null && <div class="quiet">✗ {obstacle.text}</div>;
  if (choice.kind === 'missing') {
    return (
      <>
        {reasonRow(choice.reason).status}: <a href={helpPath(choice.reason)}>{helpOf(choice.reason).title}</a>
        {but}
      </>
    );
  }
  const { form, source, platform } = choice.form;
  return (
    <>
      {FORM_TITLE[form]}
      {platform !== undefined && ` for ${visible(formatPlatform(platform), 80)}`}
      <span class="quiet">, {source.kind}</span>
      {but}
    </>
  );
}

function shortDigest(digest: string): string {
  return digest.slice(0, digest.indexOf(':') + 13);
}
