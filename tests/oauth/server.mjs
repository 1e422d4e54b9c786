// A real authorization server for the tests, on a port that the system chooses.
//
// Prints `listening PORT`, and before it `secure PORT` where it is given a folder with gateway.pem and gateway.key: there
// clients may show certificates. POST /control/rotate signs with a new key from then on, the old one stays published;
// POST /control/stop is an outage, which a line on the standard input ends. Ends with its standard input.
//
// As the server of a vendor that knows us, it has clients with tokens that live for twelve seconds. POST /control/client
// gives one of them other metadata, such as a new secret or a new public key, and the old one is void at once. POST
// /control/refresh gives a refresh token, which each use replaces, and POST /control/withdraw ends its grant. GET
// /control/asked counts the questions for tokens.

import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { X509Certificate, generateKeyPairSync, randomUUID } from 'node:crypto';

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

// What a vendor knows of us, by client id.
const held = {
  'us & them': { client_secret: 'the first secret' },
  'signing-client': { token_endpoint_auth_method: 'private_key_jwt', client_secret: undefined, jwks: { keys: [] } },
  'certified-client': {
    token_endpoint_auth_method: 'tls_client_auth',
    client_secret: undefined,
    tls_client_auth_san_dns: 'acme.example',
  },
  'refreshing-client': { redirect_uris: ['https://example.com/cb'], response_types: ['code'] },
};

function heldClient([id, metadata]) {
  const grants = id === 'refreshing-client' ? ['authorization_code', 'refresh_token'] : ['client_credentials'];
  return { ...client(id, grants), ...metadata };
}

function provider(issuer, keys) {
  return new Provider(issuer, {
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    issueRefreshToken: () => true,
    rotateRefreshToken: true,
    ttl: { RefreshToken: 3600, Grant: 3600 },
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'tls_client_auth'],
    clients: [
      ...Object.entries(held).map(heldClient),
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
        tlsClientAuth: true,
        // OpenSSL takes a certificate whose subject has the name of its issuer for one that has signed itself.
        certificateAuthorized: (ctx) => ctx.socket.getPeerX509Certificate()?.verify(authority.publicKey),
        certificateSubjectMatches: (ctx, property, expected) =>
          property === 'tls_client_auth_san_dns' && ctx.socket.getPeerX509Certificate().checkHost(expected) === expected,
        getCertificate: (ctx) => ctx.socket.getPeerX509Certificate?.(),
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, _resource, client) => ({
          scope: 'orders:read',
          audience: AUDIENCE,
          accessTokenTTL: client.clientId in held ? 12 : 600,
          accessTokenFormat: client.clientId === 'opaque-client' || client.clientId in held ? 'opaque' : 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  });
}

let authority;
let keys = [key()];
let current;
let answer;
let asked = 0;
const renew = () => {
  current = provider(issuer, keys);
  answer = current.callback();
};

// A refresh token as a person would have got it, once, by consenting.
async function refreshToken() {
  const grant = new current.Grant({ clientId: 'refreshing-client', accountId: 'our-company' });
  grant.addResourceScope(AUDIENCE, 'orders:read');
  const grantId = await grant.save();
  const client = await current.Client.find('refreshing-client');
  const own = { client, accountId: 'our-company', grantId, gty: 'authorization_code' };
  const token = new current.RefreshToken({ ...own, scope: 'orders:read', resource: AUDIENCE });
  return { grantId, token: await token.save() };
}

const controls = {
  rotate: async () => {
    keys = [key(), ...keys].slice(0, 4);
    renew();
  },
  client: async ({ id, ...metadata }) => {
    Object.assign(held[id], metadata);
    renew();
  },
  refresh: refreshToken,
  withdraw: async ({ grantId }) => (await current.Grant.find(grantId)).destroy(),
  asked: async () => ({ asked }),
};

async function control(name, request, response) {
  const body = await request.setEncoding('utf8').toArray();
  const said = await controls[name](body.length ? JSON.parse(body.join('')) : {});
  response.end(JSON.stringify(said ?? {}));
}

const server = http.createServer((request, response) => {
  const name = request.url.startsWith('/control/') && request.url.slice('/control/'.length);
  if (name === 'stop') {
    response.end('stopped', () => {
      server.close();
      server.closeAllConnections();
    });
  } else if (name) {
    control(name, request, response).catch((error) => response.writeHead(500).end(String(error)));
  } else {
    serve(request, response);
  }
});

function serve(request, response) {
  asked += request.url === '/token' ? 1 : 0;
  answer(request, response);
}

const listen = (which, port) => new Promise((told) => which.listen(port, '127.0.0.1', () => told(which.address().port)));

const port = await listen(server, 0);
const issuer = `http://127.0.0.1:${port}`;
renew();
const [folder] = process.argv.slice(2);
if (folder) {
  const read = (name) => readFileSync(`${folder}/${name}`);
  authority = new X509Certificate(read('ca.pem'));
  const own = { cert: read('gateway.pem'), key: read('gateway.key'), ca: read('ca.pem') };
  const secure = https.createServer({ ...own, requestCert: true, rejectUnauthorized: false }, serve);
  console.log(`secure ${await listen(secure, 0)}`);
}
console.log(`listening ${port}`);
process.stdin.on('data', () => listen(server, port)).on('end', () => process.exit(0));
