"""Where do pictures come from, and where are their vectors kept?

addresses   which addresses may be asked at all          fetch    asks them, one pinned hop after the other
references  what `Item.images` may name: files of the shop's folder, data URIs, addresses
store       PictureBook: a vector for each picture, by its reference, durable and memory-mapped
job         reads, decodes, encodes and keeps what is new: `bodega pictures`
"""
