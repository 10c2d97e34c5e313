from trading_lab.gui import build_routes, render_page
from trading_lab.web import dispatch


def test_state_is_shown_as_text_whatever_it_holds():
    page = render_page({"phase": "trading", "client": "<script>alert(1)</script>"})
    assert "trading" in page
    assert "<script>" not in page


def test_a_silent_bot_is_unknown_not_stopped():
    routes = build_routes("http://127.0.0.1:9")
    page = dispatch(routes, "GET", "/", b"")
    assert "UNKNOWN" in page.payload
    assert dispatch(routes, "GET", "/state", b"").status == 503
