"""A server of aiosmtpd's, which tells its port and then each message, as lines of JSON."""

import asyncio, base64, json, ssl, sys

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, AuthResult

settings = json.loads(sys.argv[1])
tls = settings.get("tls")


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("no-"):
            return "550 5.1.1 not here"
        if address.startswith("later-"):
            return "450 4.2.1 not now"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        login = session.auth_data
        told = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "options": envelope.mail_options,
            "utf8": envelope.smtp_utf8,
            "tls": session.ssl is not None or tls == "implicit",
            "user": login.login.decode() if login else None,
            "content": base64.b64encode(envelope.original_content).decode(),
        }
        print(json.dumps(told), flush=True)
        if settings.get("lmtp"):
            full = lambda address: "452 4.2.2 full" if address.startswith("full-") else "250 2.0.0 taken"
            return "\r\n".join(full(address) for address in envelope.rcpt_tos)
        return "250 2.0.0 taken"


def authenticate(server, session, envelope, mechanism, data):
    right = (data.login, data.password) == (b"gateway", b"wonderland") and mechanism == settings["auth"]
    return AuthResult(success=right, handled=False, auth_data=data)


class Wide:
    line_length_limit = 1 << 20


class WideSMTP(Wide, SMTP):
    pass


class WideLMTP(Wide, LMTP):
    pass


def make():
    options = {"enable_SMTPUTF8": settings.get("utf8", False), "data_size_limit": settings.get("size", 1 << 25)}
    if tls == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    if "auth" in settings:
        hidden = ["PLAIN", "LOGIN"]
        hidden.remove(settings["auth"])
        options |= {"auth_required": True, "authenticator": authenticate, "auth_exclude_mechanism": hidden}
        options |= {"auth_require_tls": tls == "starttls"}
    return (WideLMTP if settings.get("lmtp") else WideSMTP)(Handler(), hostname="mx.example.org", **options)


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(make, "127.0.0.1", 0, ssl=context if tls == "implicit" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


context = None
if tls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings["chain"], settings["key"])
asyncio.run(main())
