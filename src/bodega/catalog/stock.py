"""May it be bought? The words for availability, and stock counts, of the exports we know.

>>> availability_of("https://schema.org/OutOfStock").value, availability_of("有货").value
('out_of_stock', 'in_stock')
"""

from __future__ import annotations

from functools import lru_cache

from bodega.feeds.mapping import plain
from bodega.schema import Availability

_WORDS: dict[Availability, str] = {
    Availability.IN_STOCK: (
        "in stock,instock,available,yes,true,y,on,active,limited availability,in store only,online only,low stock,"
        "lieferbar,auf lager,en stock,disponible,有货,现货,在售,上架,有库存,充足,是,已上架,enabled"
    ),
    Availability.OUT_OF_STOCK: (
        "out of stock,outofstock,sold out,unavailable,not available,no,false,n,off,nicht lieferbar,ausverkauft,épuisé,"
        "rupture de stock,agotado,缺货,无货,售罄,已售罄,无库存,否,断货"
    ),
    Availability.PREORDER: "preorder,pre order,coming soon,presale,vorbestellbar,预售,预订,即将上市",
    Availability.BACKORDER: "backorder,back order,on backorder,available for order,nachbestellt,补货中,可预订,延迟发货",
    Availability.DISCONTINUED: "discontinued,archived,draft,disabled,end of life,下架,已下架,停产,停售",
}
_KNOWN = {plain(word): meaning for meaning, words in _WORDS.items() for word in words.split(",")}


def availability_of(text: str) -> Availability | None:
    """What the word means; None where it is not one we know. A number is a stock count."""
    return _availability_of(text[:100])


@lru_cache(maxsize=1 << 12)
def _availability_of(text: str) -> Availability | None:
    word = plain(text.strip().rstrip("/").rpartition("/")[2])
    if word in _KNOWN:
        return _KNOWN[word]
    try:
        return Availability.IN_STOCK if float(text) > 0 else Availability.OUT_OF_STOCK
    except ValueError:
        return None
