{{ config(materialized='stream_table', refresh_mode='immediate') }}
select customer, total from {{ ref('revenue_now') }} where total > 15
