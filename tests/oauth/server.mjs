// A real authorization server for the tests, on a port that the system chooses.
//
// Prints `listening PORT`, and before it `secure PORT` where it is given a folder with gateway.pem and gateway.key: there
// clients may show certificates. POST /control/rotate signs with a new key from then on, the old one stays published;
// POST /control/stop is an outage, which a line on the standard input ends. Ends with its standard input.

import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { generateKeyPairSync, randomUUID } from 'node:crypto';

import Provider from 'oidc-provider';

const AUDIENCE = 'https://api.example.com';
const SECRET = 'a-secret-for-tests-only';

function key() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'ES256' };
}

function client(id, grants, more = {}) {
  return {
    ...more,
    client_id: id,
    client_secret: SECRET,
    grant_types: grants,
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: 'ES256',
    scope: 'orders:read',
  };
}

function provider(issuer, keys) {
  return new Provider(issuer, {
    clients: [
      client('acme-client', ['client_credentials']),
      client('opaque-client', ['client_credentials']),
      client('bound-client', ['client_credentials'], { tls_client_certificate_bound_access_tokens: true }),
      client('vendorgate', []),
    ],
    scopes: ['orders:read'],
    jwks: { keys },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        getCertificate: (ctx) => ctx.socket.getPeerX509Certificate?.(),
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, _resource, client) => ({
          scope: 'orders:read',
          audience: AUDIENCE,
          accessTokenTTL: 600,
          accessTokenFormat: client.clientId === 'opaque-client' ? 'opaque' : 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  });
}

let keys = [key()];
let answer;
const server = http.createServer((request, response) => {
  if (request.url === '/control/rotate') {
    keys = [key(), ...keys];
    answer = provider(issuer, keys).callback();
    response.end('rotated');
  } else if (request.url === '/control/stop') {
    response.end('stopped', () => {
      server.close();
      server.closeAllConnections();
    });
  } else {
    answer(request, response);
  }
});

const listen = (which, port) => new Promise((told) => which.listen(port, '127.0.0.1', () => told(which.address().port)));

const port = await listen(server, 0);
const issuer = `http://127.0.0.1:${port}`;
answer = provider(issuer, keys).callback();
const [folder] = process.argv.slice(2);
if (folder) {
  const read = (name) => readFileSync(`${folder}/${name}`);
  const options = { cert: read('gateway.pem'), key: read('gateway.key'), requestCert: true, rejectUnauthorized: false };
  const secure = https.createServer(options, (request, response) => answer(request, response));
  console.log(`secure ${await listen(secure, 0)}`);
}
console.log(`listening ${port}`);
process.stdin.on('data', () => listen(server, port)).on('end', () => process.exit(0));
