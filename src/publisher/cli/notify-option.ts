/** `--notify`: who is notified of tags that changed. */
import type { Command } from 'commander';
import type { Notifier, NotifierOptions } from '../notify/notifier.ts';
import { usageError } from './errors.ts';

/** The option that {@link addNotifyOption} adds. */
export interface NotifyOption {
  readonly notify?: string;
}

/** Adds `--notify`. */
export function addNotifyOption(command: Command): Command {
  return command.option(
    '--notify <url>',
    'send a signed POST after tags changed (default: GANTRY_NOTIFY_URL; GANTRY_NOTIFY_SECRET signs it)',
  );
}

/**
 * Makes the notifier that the option or `$GANTRY_NOTIFY_URL` asks for; null if neither does. Throws CommandError
 * (usage); messages quote neither the address, which may contain a secret, nor the secret.
 */
export async function openNotifier(
  { notify }: NotifyOption,
  { GANTRY_NOTIFY_URL = '', GANTRY_NOTIFY_SECRET = '' }: Readonly<NodeJS.ProcessEnv>,
  onWarning: (message: string) => void,
  options: NotifierOptions = {},
): Promise<Notifier | null> {
  const text = notify ?? GANTRY_NOTIFY_URL;
  if (text === '' && notify === undefined) return null;
  const from = notify === undefined ? 'GANTRY_NOTIFY_URL' : '--notify';
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    throw usageError(`${from} is not a valid URL`, 'Write https://HOST/PATH.');
  if (url.username !== '' || url.password !== '')
    throw usageError(`${from} contains a user or a password`, 'Leave it out: the signature proves who sends.');
  if (GANTRY_NOTIFY_SECRET === '')
    throw usageError(
      `${from} is set, but GANTRY_NOTIFY_SECRET is not`,
      'Set it to the secret that the receiver has. A new one: echo "whsec_$(openssl rand -base64 32)"',
    );
  // Loaded here, since most runs notify nobody.
  const [{ createNotifier }, { parseSecrets }] = await Promise.all([
    import('../notify/notifier.ts'),
    import('../notify/webhook.ts'),
  ]);
  const secrets = parseSecrets(GANTRY_NOTIFY_SECRET);
  if (secrets === null)
    throw usageError(
      'GANTRY_NOTIFY_SECRET is not valid',
      'It must be whsec_ and the base64 of 24 to 64 bytes; several are separated by spaces.',
    );
  return createNotifier({ url, secrets }, onWarning, options);
}
