"""What do others call it? The names of event fields and types that shops, analytics tools and public data use.

Names are compared without case and punctuation (`feeds.mapping.plain`), the most telling first. Nested objects are
looked at by the names of their leaves, so OpenSearch UBI's `event_attributes.object.object_id` is an item.
Not for: guessing from values.
"""

from __future__ import annotations

from functools import lru_cache

from bodega.feeds.mapping import plain
from bodega.schema import EventType

FIELDS: dict[str, tuple[str, ...]] = {
    "time": ("time", "event_time", "timestamp", "ts", "datetime", "transaction_timestamp", "event_timestamp",
             "created_at", "occurred_at", "server_time", "date_time", "date", "order_date", "day", "unix_time",
             "时间", "事件时间", "时间戳", "行为时间", "下单时间", "支付时间", "日期", "發生時間", "時間"),
    "type": ("type", "event_type", "action_name", "event_name", "event", "action", "behavior", "behaviour",
             "behavior_type", "activity", "interaction", "事件类型", "行为类型", "事件", "行为", "操作", "動作"),
    "item": ("item", "item_id", "product_id", "sku", "asin", "object_id", "article_id", "goods_id", "content_id",
             "variant_id", "product", "stock_code", "isbn", "upc", "parent_asin", "video_id", "movie_id",
             "商品id", "商品编号", "商品编码", "商品", "物品id", "货号", "商品編號"),
    "user": ("user", "user_id", "customer_id", "household_id", "household_key", "visitor_id", "member_id",
             "shopper_id", "reviewer_id", "customer", "account_id", "buyer_id", "person_id", "uid", "client_id",
             "anonymous_id", "用户id", "用户编号", "用户", "会员id", "会员", "顾客", "买家id", "客户id", "用戶"),
    "session": ("session", "session_id", "user_session", "visit_id", "basket_id", "order_id", "transaction_id",
                "invoice_no", "invoice", "receipt_id", "cart_id", "trip_id", "会话id", "会话", "订单号", "订单id",
                "订单编号", "購物車"),
    "query": ("user_query", "query_text", "search_term", "search_query", "search_terms", "query", "keywords",
              "keyword", "q", "search", "搜索词", "查询词", "关键词", "搜索", "查詢"),
    "quantity": ("quantity", "qty", "units", "amount_of_items", "quantity_sold", "数量", "购买数量", "件数", "數量"),
    "price": ("price", "unit_price", "item_price", "product_price", "单价", "价格", "成交价", "單價"),
    "total": ("total", "line_total", "sales_value", "total_price", "amount", "revenue", "总价", "金额", "总金额"),
    "currency": ("currency", "currency_code", "币种", "货币"),
    "value": ("value", "rating", "stars", "score", "overall", "评分", "打分", "星级"),
    "place": ("place", "placement", "list_name", "item_list_name", "widget", "page_type", "slot", "位置", "页面"),
    "position": ("position", "ordinal", "rank", "index", "list_position", "item_position", "排名", "序号"),
    "request_id": ("request_id", "query_id", "impression_id", "请求id"),
    "channel": ("channel", "source_channel", "platform", "device_type", "渠道", "平台"),
    "id": ("id", "event_id", "event_uuid", "uuid", "insert_id", "idempotency_key", "事件id", "事件编号"),
}  # fmt: skip
"""{field of ours: names of theirs}. `total` is not stored: price = total / quantity where there is no price."""

_TYPES: dict[EventType, tuple[str, ...]] = {
    EventType.IMPRESSION: ("impression", "impressions", "show", "shown", "display", "exposure", "view_item_list",
                           "product_impression", "曝光", "展示"),
    EventType.VIEW: ("view", "views", "viewed", "pageview", "page_view", "detail", "detail_page_view", "view_item",
                     "product_view", "product_viewed", "pv", "visit", "browse", "watch", "play",
                     "浏览", "查看", "访问"),
    EventType.CLICK: ("click", "clicks", "clicked", "item_click", "select_item", "product_click", "product_clicked",
                      "tap", "点击", "單擊"),
    EventType.CART: ("cart", "add_to_cart", "addtocart", "basket", "add", "product_added", "add_to_basket", "addcart",
                     "begin_checkout", "checkout", "fav", "favorite", "wishlist", "add_to_wishlist",
                     "加购", "加入购物车", "收藏", "加購"),
    EventType.PURCHASE: ("purchase", "purchases", "purchased", "transaction", "order", "ordered", "buy", "bought",
                         "sale", "conversion", "order_completed", "checkout_completed", "paid", "购买", "下单", "支付",
                         "成交", "購買"),
    EventType.SEARCH: ("search", "searched", "on_search", "query", "search_query", "products_searched", "搜索", "查询"),
    EventType.RATING: ("rating", "rate", "rated", "review", "stars", "评分", "评价", "打分"),
    EventType.DISMISS: ("dismiss", "dismissed", "not_interested", "dislike", "hide", "declined_product", "decline",
                        "不感兴趣", "不喜欢"),
    EventType.RETURN: ("return", "returned", "refund", "refunded", "order_refunded", "退货", "退款", "退貨"),
}  # fmt: skip

_UNUSED = (
    "remove_from_cart", "removefromcart", "product_removed", "remove_from_basket", "page_exit", "scroll", "hover",
    "product_hover", "global_click", "type_filter", "brand_filter", "filter", "product_sort", "sort", "login", "logout",
    "signup", "session_start", "first_visit", "user_engagement", "view_search_results", "404_redirect", "heartbeat",
    "移出购物车", "登录",
)  # fmt: skip

FIELD_OF: dict[str, tuple[str, int]] = {
    plain(name): (field, rank) for field, names in reversed(FIELDS.items()) for rank, name in enumerate(names)
}
"""{plain name: (field, its place in the field's list)}."""

_TYPE_OF = {plain(name): kind for kind, names in _TYPES.items() for name in names}
_UNUSED_TYPES = frozenset(plain(name) for name in _UNUSED)


@lru_cache(maxsize=4_096)
def event_type(name: str) -> EventType | None:
    """The type that a name stands for; None when we do not know it.

    >>> event_type("Add to Cart"), event_type("加购"), event_type("yawn")
    (<EventType.CART: 'cart'>, <EventType.CART: 'cart'>, None)
    """
    return _TYPE_OF.get(plain(name))


def is_unused(name: str) -> bool:
    """Is it a type that is well known but that nothing here learns from (`remove_from_cart`, `scroll`)?"""
    return plain(name) in _UNUSED_TYPES
