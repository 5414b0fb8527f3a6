// A provider of OpenID Connect that others wrote, for tests/server/test_real_oidc.py: npm's oidc-provider with one client.
// node real_oidc_provider.mjs NODE_MODULES PORT REDIRECT. Whoever types a name is that person; root is in the group admins.
import path from 'node:path'
import { pathToFileURL } from 'node:url'

const [modules, port, redirect] = process.argv.slice(2)
const { default: Provider } = await import(pathToFileURL(path.join(modules, 'oidc-provider', 'lib', 'index.js')).href)
const claimsOf = (name) => ({ sub: name, email: `${name}@x.org`, email_verified: true, groups: name === 'root' ? ['admins'] : ['staff'] })

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: 'observability',
    client_secret: 'client-secret',
    redirect_uris: [redirect],
    post_logout_redirect_uris: [redirect],
  }],
  claims: { openid: ['sub', 'groups'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: false,
  cookies: { keys: ['of the tests'] },
  findAccount: (_, name) => ({ accountId: name, claims: async () => claimsOf(name) }),
  pkce: { required: () => true },
})
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'))
