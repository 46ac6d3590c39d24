// Several identity providers in one process, each below a path of its own, by the certified npm package oidc-provider.
//
// usage: node oidc_provider.mjs SETTINGS    a JSON file that synapse_bum/testing/oidc_provider.py writes and describes
//
// Who the people are and what the providers say of them is read anew for each request from a second JSON file. The form
// takes any name there together with the one password. POST /control/logout ends a person's session at the homeserver, as
// an administrator of a provider would.

import { createHash, createPrivateKey, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { pathToFileURL } from 'node:url';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const { Provider } = await import(pathToFileURL(`${settings.modules}/oidc-provider/lib/index.js`));

// People of an issuer, by their names for the form.
const people = (issuer) => JSON.parse(readFileSync(settings.people, 'utf8'))[issuer] ?? {};

const signingKey = createPrivateKey(settings.signing_key).export({ format: 'jwk' });

const CLAIMS = [
  'sub', 'tid', 'oid', 'preferred_username', 'name', 'given_name', 'family_name', 'email', 'email_verified', 'roles',
  'groups', 'acct', 'hasgroups', 'realm_access', 'resource_access',
];

// Entra ID gives each application its own `sub` for a person (OpenID Connect Core, section 8.1).
const pairwise = (name) => createHash('sha256').update(settings.client.client_id).update(name).digest('base64url');

const subject = (name, person) => (person.pairwise ? pairwise(name) : person.claims.sub ?? name);

const escaped = (text) => text.replace(/[&<>"]/g, (character) => `&#${character.codePointAt(0)};`);

const form = (action, complaint) => `<!DOCTYPE html><title>Sign in</title><p>${escaped(complaint)}</p>
<form method="post" action="${escaped(action)}"><input name="username"><input name="password" type="password">
<button>Sign in</button></form>`;

const body = async (request) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
};

const answer = (response, status, text) => {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' });
  response.end(text);
};

// One of the providers.
class Issuer {
  constructor({ name, path, thin }) {
    this.name = name;
    this.path = path;
    this.sids = new Map();
    this.tokens = new Map();
    this.provider = new Provider(`${settings.origin}${path}`, {
      clients: [settings.client],
      jwks: { keys: [{ ...signingKey, use: 'sig', alg: 'RS256', kid: name }] },
      cookies: {
        keys: [randomBytes(16).toString('hex')],
        // All providers are on one origin, so that their cookies are told apart by name.
        names: { session: `${name}_session`, interaction: `${name}_interaction`, resume: `${name}_resume` },
      },
      // With this, an ID token has the claims of `openid` only, and the userinfo endpoint those of `profile` too.
      conformIdTokenClaims: true,
      claims: thin ? { openid: ['sub'], profile: CLAIMS, email: [] } : { openid: CLAIMS, profile: [], email: [] },
      features: { devInteractions: { enabled: false }, backchannelLogout: { enabled: true } },
      pkce: { required: () => false },
      interactions: { url: (context, interaction) => `${path}/interaction/${interaction.uid}` },
      findAccount: (context, sub) => this.account(sub),
      loadExistingGrant: (context) => this.grant(context),
      // Without its dispatcher, which refuses loopback addresses.
      fetch: (url, { dispatcher, ...options }) => fetch(url, options),
      ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 3600, IdToken: 600, Interaction: 600, Session: 3600 },
    });
    this.provider.on('authorization.success', ({ oidc }) => {
      this.sids.set(oidc.session.accountId, oidc.session.sidFor(oidc.client.clientId));
    });
    for (const event of ['authorization.error', 'grant.error', 'server_error']) {
      this.provider.on(event, (context, error) => console.error(error));
    }
    this.spoilTokens();
  }

  person(sub) {
    const [, found] = Object.entries(people(this.name)).find(([name, person]) => subject(name, person) === sub) ?? [];
    return found;
  }

  account(sub) {
    const person = this.person(sub);
    return person && { accountId: sub, claims: () => ({ ...person.claims, sub }) };
  }

  async grant({ oidc }) {
    const grant = new oidc.provider.Grant({ accountId: oidc.session.accountId, clientId: oidc.client.clientId });
    grant.addOIDCScope('openid profile email');
    await grant.save();
    return grant;
  }

  // A person may have a `defect`: ID tokens that expired an hour ago, or that of the login before once more.
  spoilTokens() {
    const issuer = this;
    const prototype = this.provider.IdToken.prototype;
    const issue = prototype.issue;
    prototype.issue = async function issueSpoilt(options) {
      if (options.use !== 'idtoken') return issue.call(this, options);
      const account = this.ctx.oidc.account.accountId;
      const { defect } = issuer.person(account);
      if (defect === 'replayed') return issuer.tokens.get(account);
      const expiresAt = defect === 'expired' ? Math.floor(Date.now() / 1000) - 3600 : options.expiresAt;
      const token = await issue.call(this, { ...options, expiresAt });
      if (defect === null) issuer.tokens.set(account, token);
      return token;
    };
  }

  async handle(request, response) {
    if (request.url.startsWith(`${this.path}/interaction/`)) return this.interact(request, response);
    request.originalUrl = request.url;
    request.url = request.url.slice(this.path.length);
    return this.provider.callback()(request, response);
  }

  async interact(request, response) {
    if (request.method !== 'POST') return answer(response, 200, form(request.url, ''));
    const values = new URLSearchParams(await body(request));
    const name = values.get('username');
    const person = people(this.name)[name];
    if (person === undefined || values.get('password') !== settings.password) {
      return answer(response, 200, form(request.url, 'Wrong name or password.'));
    }
    if (person.disabled) return answer(response, 200, form(request.url, 'The account is disabled.'));
    return this.provider.interactionFinished(request, response, { login: { accountId: subject(name, person) } });
  }

  async logOut(name) {
    const client = await this.provider.Client.find(settings.client.client_id);
    const sub = subject(name, people(this.name)[name]);
    await client.backchannelLogout(sub, this.sids.get(sub));
  }
}

const issuers = settings.issuers.map((issuer) => new Issuer(issuer));

const handle = async (request, response) => {
  if (request.method === 'POST' && request.url === '/control/logout') {
    const values = new URLSearchParams(await body(request));
    await issuers.find(({ name }) => name === values.get('issuer')).logOut(values.get('account'));
    return answer(response, 200, 'Logged out.');
  }
  const issuer = issuers.find(({ path }) => request.url.startsWith(`${path}/`));
  if (issuer === undefined) return answer(response, 404, 'Not here.');
  return issuer.handle(request, response);
};

createServer(
  { key: readFileSync(settings.key), cert: readFileSync(settings.certificate) },
  (request, response) => handle(request, response).catch((error) => {
    console.error(error);
    answer(response, 500, String(error));
  }),
).listen(settings.port, '127.0.0.1');
