"""The exports of five shop systems, each as that system writes it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from bodega.catalog import ItemOptions, import_items
from bodega.protocols import ImportReport
from bodega.schema import Availability, Item
from bodega.testing.fakes import MemoryCatalog, MemoryLetters


def _imported(path: Path, **options: object) -> tuple[dict[str, Item], ImportReport]:
    store = MemoryCatalog()
    report = import_items(path, store, MemoryLetters(), ItemOptions(**options))  # type: ignore[arg-type]
    return {item.id: item for item in store.scan()}, report


def _csv(path: Path, rows: list[dict[str, str]]) -> Path:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


SHOPIFY = [
    {
        "Handle": "trail-shoe",
        "Title": "Trail Shoe",
        "Body (HTML)": "<p>For <b>mud</b></p>",
        "Vendor": "Acme",
        "Product Category": "Apparel > Shoes",
        "Type": "Trail",
        "Tags": "outdoor, mud",
        "Published": "true",
        "Option1 Name": "Size",
        "Option1 Value": "42",
        "Option2 Name": "Color",
        "Option2 Value": "Red",
        "Variant SKU": "TS-42-R",
        "Variant Inventory Tracker": "shopify",
        "Variant Inventory Qty": "3",
        "Variant Inventory Policy": "deny",
        "Variant Price": "80.00",
        "Variant Compare At Price": "100.00",
        "Image Src": "https://x/1.jpg",
        "Status": "active",
        "Fabric (product.metafields.shopify.fabric)": "Mesh",
    },
    {
        "Handle": "trail-shoe",
        "Option1 Value": "43",
        "Option2 Value": "Red",
        "Variant Inventory Tracker": "shopify",
        "Variant Inventory Qty": "0",
        "Variant Inventory Policy": "continue",
        "Variant Price": "100.00",
        "Image Src": "https://x/2.jpg",
    },
    {"Handle": "trail-shoe", "Image Src": "https://x/3.jpg"},
    {
        "Handle": "gift",
        "Title": "Gift card",
        "Option1 Name": "Title",
        "Option1 Value": "Default Title",
        "Variant Price": "25",
        "Status": "draft",
    },
    {"Handle": "", "Title": "Lost"},
    {"Handle": "trail-shoe", "Option1 Value": "44", "Option2 Value": "Blue", "Variant Price": "100.00"},
]


def test_shopify(tmp_path: Path) -> None:
    items, report = _imported(_csv(tmp_path / "products_export.csv", SHOPIFY), limit=1.0)
    assert report.format == "shopify"
    assert list(items) == ["TS-42-R", "trail-shoe-43-red", "gift", "trail-shoe-44-blue"]
    first = items["TS-42-R"]
    assert (first.title, first.description, first.brand) == ("Trail Shoe", "For mud", "Acme")
    assert (first.category, first.tags) == (("Apparel", "Shoes"), ("outdoor", "mud"))
    assert (first.price, first.attributes) == (80.0, {"Fabric": "Mesh", "type": "Trail", "list_price": 100.0})
    assert (first.group, first.options, first.stock) == ("trail-shoe", {"Size": "42", "Color": "Red"}, 3)
    assert first.images == ("https://x/1.jpg", "https://x/2.jpg", "https://x/3.jpg")
    second, third = items["trail-shoe-43-red"], items["trail-shoe-44-blue"]
    assert (second.title, second.options, second.availability) == (
        "Trail Shoe",
        {"Size": "43", "Color": "Red"},
        Availability.BACKORDER,
    )
    assert (third.title, third.group, third.options) == ("Trail Shoe", "trail-shoe", {"Size": "44", "Color": "Blue"})
    assert (items["gift"].group, items["gift"].options, items["gift"].available) == ("", {}, False)
    assert (report.rows, report.dead, report.reasons) == (6, 1, {"unreadable": 1})
    assert report.mapping["price"] == "Variant Price"


WOO = [
    {
        "ID": "10",
        "Type": "variable",
        "SKU": "HOOD",
        "Name": "Hoodie",
        "Published": "1",
        "Short description": "Warm",
        "Categories": "Sale, Clothing > Hoodies",
        "Images": "https://x/a.jpg, https://x/b.jpg",
        "Tags": "soft, warm",
        "Attribute 1 name": "Color",
        "Attribute 1 value(s)": "Red, Blue",
        "Attribute 2 name": "Material",
        "Attribute 2 value(s)": "Cotton",
    },
    {
        "ID": "11",
        "Type": "variation",
        "SKU": "HOOD-R",
        "Name": "Hoodie - Red",
        "Published": "1",
        "In stock?": "1",
        "Stock": "4",
        "Regular price": "45",
        "Sale price": "40",
        "Parent": "HOOD",
        "Attribute 1 name": "Color",
        "Attribute 1 value(s)": "Red",
    },
    {
        "ID": "12",
        "Type": "variation",
        "SKU": "",
        "Name": "Hoodie - Blue",
        "Published": "1",
        "In stock?": "0",
        "Regular price": "45",
        "Parent": "id:10",
        "Attribute 1 name": "Color",
        "Attribute 1 value(s)": "Blue",
    },
    {
        "ID": "13",
        "Type": "simple",
        "SKU": "CAP",
        "Name": "Cap, red",
        "Published": "0",
        "In stock?": "1",
        "Regular price": "12,50",
        "Categories": "Clothing > Caps",
    },
    {"ID": "14", "Type": "variable", "SKU": "LONE", "Name": "No variations", "Published": "1", "Regular price": "5"},
]


def test_woocommerce(tmp_path: Path) -> None:
    items, report = _imported(_csv(tmp_path / "wc-products.csv", WOO))
    assert report.format == "woocommerce"
    assert list(items) == ["HOOD-R", "12", "CAP", "LONE"]
    red, blue = items["HOOD-R"], items["12"]
    assert (red.title, red.description, red.category, red.tags) == (
        "Hoodie",
        "Warm",
        ("Clothing", "Hoodies"),
        ("soft", "warm", "Sale"),
    )
    assert (red.group, red.options, red.attributes) == (
        "HOOD",
        {"Color": "Red"},
        {"Material": "Cotton", "list_price": 45.0},
    )
    assert (red.price, red.stock, red.images) == (40.0, 4, ("https://x/a.jpg", "https://x/b.jpg"))
    assert (blue.group, blue.options, blue.availability) == ("HOOD", {"Color": "Blue"}, Availability.OUT_OF_STOCK)
    assert (items["CAP"].price, items["CAP"].availability) == (12.5, Availability.DISCONTINUED)
    assert any("1 rows only add" in note for note in report.notes)


GOOGLE_XML = """<rss xmlns:g="http://base.google.com/ns/1.0"><channel>
<item><g:id>S-R-M</g:id><g:title>Shirt red M</g:title><g:description>&lt;b&gt;Nice&lt;/b&gt; shirt</g:description><g:link>https://x/s</g:link>
<g:image_link>https://x/1.jpg</g:image_link><g:additional_image_link>https://x/2.jpg</g:additional_image_link>
<g:availability>in_stock</g:availability><g:price>15.00 USD</g:price><g:sale_price>12.00 USD</g:sale_price>
<g:product_type>Apparel &gt; Shirts</g:product_type><g:google_product_category>212</g:google_product_category>
<g:brand>Acme</g:brand><g:gtin>0123</g:gtin><g:item_group_id>S</g:item_group_id><g:color>Red</g:color><g:size>M</g:size>
<g:shipping><g:price>5 USD</g:price></g:shipping>
<g:product_detail><g:section_name>General</g:section_name><g:attribute_name>Fit</g:attribute_name>
<g:attribute_value>Slim</g:attribute_value></g:product_detail>
</item></channel></rss>"""


def test_google_merchant_xml_and_tsv_agree(tmp_path: Path) -> None:
    xml = tmp_path / "feed.xml"
    xml.write_text(GOOGLE_XML)
    row = {
        "id": "S-R-M",
        "title": "Shirt red M",
        "description": "<b>Nice</b> shirt",
        "link": "https://x/s",
        "image link": "https://x/1.jpg",
        "additional image link": "https://x/2.jpg",
        "availability": "in_stock",
        "price": "15.00 USD",
        "sale price": "12.00 USD",
        "product type": "Apparel > Shirts",
        "google product category": "212",
        "brand": "Acme",
        "gtin": "0123",
        "item group id": "S",
        "color": "Red",
        "size": "M",
        "shipping": "US:::5 USD",
        "product detail": "General:Fit:Slim",
    }
    tsv = tmp_path / "feed.txt"
    tsv.write_text("\t".join(row) + "\n" + "\t".join(row.values()) + "\n")
    for path in (xml, tsv):
        items, report = _imported(path)
        item = items["S-R-M"]
        assert report.format == "google"
        assert (item.title, item.description, item.brand, item.url) == (
            "Shirt red M",
            "Nice shirt",
            "Acme",
            "https://x/s",
        )
        assert (item.price, item.currency, item.category) == (12.0, "USD", ("Apparel", "Shirts"))
        assert (item.group, item.options) == ("S", {"color": "Red", "size": "M"})
        assert item.attributes == {"gtin": "0123", "Fit": "Slim", "list_price": 15.0}
        assert item.images == ("https://x/1.jpg", "https://x/2.jpg")


def test_algolia(tmp_path: Path) -> None:
    records = [
        {
            "objectID": "5477500",
            "name": "Amazon - Fire TV",
            "description": "Stick",
            "brand": "Amazon",
            "price": 39.99,
            "categories": ["TV & Home", "Streaming"],
            "hierarchicalCategories": {"lvl0": "TV & Home", "lvl1": "TV & Home > Streaming"},
            "image": "https://x/1.jpg",
            "rating": 4,
            "free_shipping": True,
            "_tags": ["hot"],
            "_highlightResult": {"name": "x"},
        },
        {"objectID": 1696302, "name": "Cable", "price": None, "hierarchicalCategories": {"lvl0": "Cables"}},
    ]
    path = tmp_path / "records.json"
    path.write_text(json.dumps(records))
    items, report = _imported(path)
    first = items["5477500"]
    assert report.format == "algolia"
    assert (first.title, first.category, first.price, first.tags) == (
        "Amazon - Fire TV",
        ("TV & Home", "Streaming"),
        39.99,
        ("hot",),
    )
    assert (first.attributes["rating"], first.attributes["free_shipping"]) == (4.0, True)
    assert not any("highlight" in name for name in first.attributes)
    assert (items["1696302"].category, items["1696302"].price) == (("Cables",), None)


MAGENTO = [
    {
        "sku": "MH01-XS-Black",
        "attribute_set_code": "Top",
        "product_type": "simple",
        "categories": "Default Category/Men,Default Category/Men/Tops",
        "name": "Hoodie-XS-Black",
        "price": "52",
        "special_price": "40",
        "qty": "100",
        "is_in_stock": "1",
        "product_online": "1",
        "base_image": "/m/1.jpg",
        "additional_images": "/m/1.jpg,/m/2.jpg",
        "additional_attributes": "color=Black,size=XS,material=Cotton|Wool,note=warm, soft and light,manufacturer=Acme",
    },
    {
        "sku": "MH01-S-Black",
        "attribute_set_code": "Top",
        "product_type": "simple",
        "name": "Hoodie-S-Black",
        "price": "52",
        "qty": "0",
        "is_in_stock": "0",
        "product_online": "2",
    },
    {
        "sku": "MH01",
        "attribute_set_code": "Top",
        "product_type": "configurable",
        "name": "Hoodie",
        "configurable_variations": "sku=MH01-XS-Black,size=XS,color=Black|sku=MH01-S-Black,size=S,color=Black",
    },
    {
        "sku": "24-MB01",
        "attribute_set_code": "Bag",
        "product_type": "simple",
        "name": "Bag",
        "description": "<p>Bag</p>",
        "price": "34",
        "is_in_stock": "1",
        "product_online": "1",
    },
]


def test_magento_csv(tmp_path: Path) -> None:
    items, report = _imported(_csv(tmp_path / "catalog_product.csv", MAGENTO))
    assert report.format == "magento"
    assert list(items) == ["MH01-XS-Black", "MH01-S-Black", "24-MB01"]
    first = items["MH01-XS-Black"]
    assert (first.group, first.options) == ("MH01", {"size": "XS", "color": "Black"})
    assert (first.category, first.tags) == (("Men", "Tops"), ("Men",))
    assert (first.price, first.brand, first.stock) == (40.0, "Acme", 100)
    assert first.attributes == {"material": ["Cotton", "Wool"], "note": "warm, soft and light", "list_price": 52.0}
    assert first.images == ("/m/1.jpg", "/m/2.jpg")
    assert items["MH01-S-Black"].availability == Availability.DISCONTINUED
    assert (items["24-MB01"].group, items["24-MB01"].description) == ("", "Bag")
    assert report.rows == 4


def test_nested_variants_unfold(tmp_path: Path) -> None:
    product = {
        "sku": "A",
        "name": "Tee",
        "price": 20,
        "categories": ["Men/Tops", "Sale/Eco"],
        "attribute_set": "Top",
        "images": ["a.jpg"],
        "variants": [
            {"sku": "A-S", "size": "S", "color": "Red", "price": 21.0, "qty": 0, "image": "s.jpg"},
            {"size": "M", "color": "Red"},
        ],
    }
    path = tmp_path / "products.jsonl"
    path.write_text(json.dumps(product))
    items, report = _imported(path)
    assert report.format == "magento"
    assert list(items) == ["A-S", "A-2"]
    small, medium = items.values()
    assert (small.title, small.price, small.stock, small.available) == ("Tee", 21.0, 0, False)
    assert (small.group, small.options, small.images) == ("A", {"size": "S", "color": "Red"}, ("s.jpg", "a.jpg"))
    assert (medium.price, medium.options) == (20.0, {"size": "M", "color": "Red"})
    assert (small.category, small.tags) == (("Men", "Tops"), ("Eco",))


def test_a_chinese_table(tmp_path: Path) -> None:
    path = tmp_path / "商品.csv"
    text = (
        "商品编号,标题,品牌,一级类目,二级类目,价格,库存,净含量,颜色\n"
        "A1,牛奶,光明,食品,乳品,12.5元,30,250毫升,白\n"
        "A2,酱油,海天,食品,调味,￥9,0,500克,黑\n"
    )
    path.write_bytes(text.encode("gbk"))
    items, report = _imported(path)
    milk = items["A1"]
    assert (milk.title, milk.brand, milk.category, milk.price, milk.currency) == (
        "牛奶",
        "光明",
        ("食品", "乳品"),
        12.5,
        "CNY",
    )
    assert (milk.stock, items["A2"].available) == (30, False)
    assert (milk.attributes["size_ml"], items["A2"].attributes["size_g"]) == (250.0, 500.0)
    assert report.mapping["category"] == "一级类目 > 二级类目"
    assert any("GB18030" in note for note in report.notes)


def test_the_export_can_be_named(tmp_path: Path) -> None:
    path = _csv(
        tmp_path / "x.csv", [{"id": "1", "title": "Shirt", "price": "3 EUR", "color": "red", "item_group_id": "g"}]
    )
    items, report = _imported(path, format="google")
    assert (report.format, items["1"].options) == ("google", {"color": "red"})


@pytest.mark.parametrize("field", ["title", "brand"])
def test_a_told_column_wins_in_a_fixed_layout(tmp_path: Path, field: str) -> None:
    items, _ = _imported(_csv(tmp_path / "p.csv", SHOPIFY[:2]), mapping={field: "Handle"})
    assert {getattr(item, field) for item in items.values()} == {"trail-shoe"}
