"""The invoice of a month: prices, calculation, documents. Everything here is pure, and exact over Decimal.

| module | what it holds |
|---|---|
| `price_list` | price lists, the service's own one, which one holds for a month |
| `prices_config` | reading an operator's own price lists |
| `readings` | how the price list is read where its words leave room |
| `calculation` | from users, gigabytes and items to lines and a total |
| `document` | what an invoice says beside its lines; JSON |
| `csv_document` | CSV, for machines or with German decimals |
| `text_document` | German text that can be mailed |
| `german` | numbers and dates as they are written in German |
"""
