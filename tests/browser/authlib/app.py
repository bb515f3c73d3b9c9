"""A server-side app written with Authlib and Flask, as its developer writes it. What it is told is at each of its addresses."""

import json
import os
import sys

from authlib.integrations.flask_client import OAuth, OAuthError
from authlib.oauth2.rfc7523 import ClientSecretJWT, PrivateKeyJWT
from flask import Flask, url_for
from joserfc.jwk import ECKey

settings = json.load(sys.stdin)
tokens = {}

app = Flask(__name__)
app.secret_key = os.urandom(32)
# The browser keeps cookies by host, not by port.
app.config["SESSION_COOKIE_NAME"] = f"app-{settings['port']}"


def remember(name, token, refresh_token=None, access_token=None):
    tokens[name] = token


METHODS = {
    "client_secret_basic": lambda: (settings["client_secret"], []),
    "client_secret_jwt": lambda: (settings["client_secret"], [ClientSecretJWT()]),
    "private_key_jwt": lambda: (ECKey.import_key(settings["key"]), [PrivateKeyJWT(alg="ES256")]),
}
method = settings["token_endpoint_auth_method"]
secret, client_auth_methods = METHODS[method]()

provider = OAuth(app, update_token=remember).register(
    "provider",
    server_metadata_url=f"{settings['issuer']}/.well-known/openid-configuration",
    client_id=settings["client_id"],
    client_secret=secret,
    client_auth_methods=client_auth_methods,
    client_kwargs={
        "scope": "openid profile email offline_access",
        "code_challenge_method": "S256",
        "token_endpoint_auth_method": method,
    },
)


@app.get("/")
def welcome():
    return {"welcome": True}


@app.get("/sign-in")
def sign_in():
    return provider.authorize_redirect(url_for("callback", _external=True), prompt="consent")


@app.get("/callback")
def callback():
    token = provider.authorize_access_token()
    tokens["provider"] = token
    return {"id_token_claims": token["userinfo"], "scope": token["scope"]}


@app.get("/userinfo")
def userinfo():
    return provider.userinfo(token=tokens["provider"])


@app.get("/userinfo-later")
def userinfo_later():
    """The access token has expired: the library refreshes by itself before it asks."""
    tokens["provider"]["expires_at"] = 1
    before = tokens["provider"]["access_token"]
    told = provider.userinfo(token=tokens["provider"])
    refreshed = tokens["provider"]
    claims = provider.parse_id_token(refreshed, nonce=None)
    return {"userinfo": told, "refreshed": refreshed["access_token"] != before, "id_token_claims": claims}


@app.get("/sign-out")
def sign_out():
    hint = tokens.pop("provider")["id_token"]
    return provider.logout_redirect(url_for("signed_out", _external=True), id_token_hint=hint)


@app.get("/signed-out")
def signed_out():
    provider.validate_logout_response()
    return {"signed_out": True}


@app.errorhandler(OAuthError)
def refused(error):
    return {"error": error.error, "description": error.description}, 400


app.run("127.0.0.1", settings["port"])
