"""The page that describes the addresses, with Swagger UI's own files from a Python package: nothing from elsewhere."""

from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Vitrine's addresses</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
START = 'SwaggerUIBundle({url: "openapi.json", dom_id: "#page", deepLinking: true, validatorUrl: null});\n'
FILES = (
    "swagger-ui.css",
    "swagger-ui-bundle.js",
)  # beside the page, whose addresses are relative: it may have a prefix
ADDRESSES = ("/docs", "/docs/start.js", *(f"/docs/{name}" for name in FILES))
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def page_routes() -> list[Route]:
    """The page, and what it loads."""
    spec = find_spec("flask_swagger_ui")  # found, not imported: that would import Flask
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("flask-swagger-ui, of requirements.txt, is not installed.")
    folder = Path(spec.origin).parent / "dist"

    def page(_: Request) -> Response:
        return HTMLResponse(PAGE, headers=HEADERS)

    def start(_: Request) -> Response:
        return Response(START, headers=HEADERS, media_type="text/javascript")

    def file(request: Request) -> Response:
        return FileResponse(folder / request.url.path.rpartition("/")[2], headers=HEADERS)

    return [Route(path, {"/docs": page, "/docs/start.js": start}.get(path, file)) for path in ADDRESSES]
