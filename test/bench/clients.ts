/** The two clients that everything is asked as, with the headers that they send. */
import { MEDIA_TYPE_OF_FORM } from '../../src/registry/media-type.ts';

/** Docker 28: all forms, in the order of Go's map on that day. */
export const NEW_CLIENT: Readonly<Record<string, string>> = {
  'User-Agent':
    'docker/28.5.2 go/go1.24.8 git-commit/89c5e8f kernel/6.1.0 os/linux arch/amd64 UpstreamClient(Docker-Client/28.5.2 \\(linux\\))',
  Accept: [
    'application/json',
    MEDIA_TYPE_OF_FORM['oci-manifest'],
    MEDIA_TYPE_OF_FORM['docker-schema2'],
    MEDIA_TYPE_OF_FORM['docker-list'],
    MEDIA_TYPE_OF_FORM['oci-index'],
    MEDIA_TYPE_OF_FORM['docker-schema1'],
  ].join(', '),
};

/** Docker 1.9: no `Accept`. */
export const OLD_CLIENT: Readonly<Record<string, string>> = {
  'User-Agent': 'docker/1.9.1 go/go1.4.3 git-commit/a34a1d5 kernel/3.10.0-327.el7.x86_64 os/linux arch/amd64',
};
