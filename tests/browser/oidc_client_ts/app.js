// A single-page app by the library's own means: what it is told is in the page.

const settings = await (await fetch("settings.json")).json();
const manager = new globalThis.oidc.UserManager({
  ...settings,
  redirect_uri: `${location.origin}/`,
  post_logout_redirect_uri: `${location.origin}/signed-out`,
  scope: "openid profile email offline_access",
  prompt: "consent",
  loadUserInfo: true,
  automaticSilentRenew: false,
});

const show = (what, content) => (document.getElementById("shown").textContent = JSON.stringify({ what, ...content }, null, 2));
const tell = (error) => show("refused", { name: error.name, error: error.error, message: error.message });
const user = ({ profile, scope, session_state, access_token, refresh_token, id_token, expires_in }) => ({
  profile,
  scope,
  session_state,
  access_token,
  refresh_token,
  id_token,
  expires_in,
});

const buttons = {
  "sign-in": () => manager.signinRedirect(),
  refresh: async () => show("refreshed", user(await manager.signinSilent())),
  revoke: async () => {
    await manager.revokeTokens();
    show("revoked", user(await manager.getUser()));
  },
  "sign-out": () => manager.signoutRedirect(),
};
for (const [id, press] of Object.entries(buttons)) document.getElementById(id).addEventListener("click", () => press().catch(tell));

async function arrive() {
  const query = new URLSearchParams(location.search);
  if (query.has("code") || query.has("error")) return show("signed in", user(await manager.signinRedirectCallback()));
  if (location.pathname === "/signed-out") {
    await manager.signoutRedirectCallback();
    return show("signed out", { user: await manager.getUser() });
  }
  return show("welcome");
}

await arrive()
  .catch(tell)
  .finally(() => history.replaceState(null, "", "/"));
