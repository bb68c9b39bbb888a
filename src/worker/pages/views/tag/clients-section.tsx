/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import { normalizeAccept, normalizeUserAgent, RULES } from '../../../../manifest/negotiate.ts';
import { CLIENTS } from '../../../../manifest/clients/known-clients.ts';
import { helpPath, reasonRow } from '../../../../registry/errors.ts';
import { helpOf } from '../../../../registry/help.ts';
import { FORM_TITLE } from '../../../../registry/media-type.ts';
import type { Tag } from '../../../../registry/name.ts';
import { formatPlatform } from '../../../../registry/platform.ts';
import { type Outcome, outcomeOf, PASTED_MAX_LENGTH, type PulledTag } from '../../clients.ts';
import { tagPath } from '../../paths.ts';
import { visible } from '../../visible-text.ts';
import { Command, type Place } from '../layout.tsx';

/** A tag, and the client that was asked about. */
export interface ClientsView extends PulledTag {
  readonly tag: Tag;
  /** Null: none. */
  readonly asked: Outcome | null;
}

/** The form for each family of clients, and for pasted headers. */
export function ClientsSection({
  view: { name, tag, record, nameless, asked },
  place,
}: {
  readonly view: ClientsView;
  readonly place: Place;
}) {
  const path = `${tagPath(name, tag)}#client`;
  return (
    <details class="fold" id="client" open={asked !== null}>
      <summary>
        <h2 id="client-title">What will my client get?</h2>
      </summary>
      {asked !== null && (
        <Answer asked={asked} url={`${place.isPlain ? 'http' : 'https'}://${place.host}/v2/${name}/manifests/${tag}`} />
      )}
      <div class="scroll">
        <table class="narrow">
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
                  <a href={`${tagPath(name, tag, { client: known.id })}#client`}>{known.title}</a>
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
    </details>
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
