// client.mjs fetch|http|undici [URL BODY]: posts a JSON body and prints the answer and its status; without a URL the version.
//
// Node itself reads HTTP_PROXY only since 22.21 and 24, and there only where it is told to: until then services use these
// packages. EnvHttpProxyAgent opens a tunnel also for http:// URLs; with `proxyTunnel: false` they go in absolute form.
import http from 'node:http';
import https from 'node:https';
import { createRequire } from 'node:module';
import { HttpProxyAgent } from 'http-proxy-agent';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { EnvHttpProxyAgent, ProxyAgent, request, setGlobalDispatcher } from 'undici';

const [, , client, url, body] = process.argv;
const proxy = process.env.HTTP_PROXY;
const post = { method: 'POST', headers: { 'Content-Type': 'application/json' } };

function byHttp() {
  const secure = url.startsWith('https:');
  const agent = proxy && (secure ? new HttpsProxyAgent(proxy) : new HttpProxyAgent(proxy));
  return new Promise((resolve, reject) => {
    const call = (secure ? https : http).request(url, { ...post, agent }, async (answer) => {
      let text = '';
      for await (const piece of answer) text += piece;
      resolve(`${text} ${answer.statusCode}`);
    });
    call.on('error', reject);
    call.end(body);
  });
}

async function byFetch() {
  if (proxy) setGlobalDispatcher(new EnvHttpProxyAgent());
  const answer = await fetch(url, { ...post, body });
  return `${await answer.text()} ${answer.status}`;
}

async function byUndici() {
  const dispatcher = proxy && new ProxyAgent({ uri: proxy, proxyTunnel: url.startsWith('https:') });
  const answer = await request(url, { ...post, body, dispatcher });
  return `${await answer.body.text()} ${answer.statusCode}`;
}

if (url) {
  console.log(await { fetch: byFetch, http: byHttp, undici: byUndici }[client]());
} else {
  const version = createRequire(import.meta.url)('undici/package.json').version;
  console.log(client === 'undici' ? version : `node ${process.versions.node}`);
}
process.exit(0);
