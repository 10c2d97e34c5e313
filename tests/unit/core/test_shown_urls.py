import pytest
from trading_ops.core.shown_urls import show_url

URL = "http://venue.lan:8900/orders/open"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (URL, URL),
        ("https://user:secret@venue.lan/open?key=secret#secret", "https://venue.lan/open"),
        ("https://[::1]:8900/open", "https://[::1]:8900/open"),
        ("http://venue.lan:port/", "(not an address)"),
        ("venue.lan", ""),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(url, shown):
    assert show_url(url) == shown
