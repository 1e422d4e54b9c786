// A real authorization server for the tests, on a port that the system chooses.
//
// Prints `listening PORT`. POST /control/rotate signs with a new key from then on, the old one stays published;
// POST /control/stop ends it, as an outage does. Ends with its standard input.

import http from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';

import Provider from 'oidc-provider';

const AUDIENCE = 'https://api.example.com';
const SECRET = 'a-secret-for-tests-only';

function key() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'ES256' };
}

function client(id, grants) {
  return {
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
      client('vendorgate', []),
    ],
    scopes: ['orders:read'],
    jwks: { keys },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true },
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

let issuer;
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  issuer = `http://127.0.0.1:${port}`;
  answer = provider(issuer, keys).callback();
  console.log(`listening ${port}`);
});
process.stdin.on('end', () => process.exit(0)).resume();
