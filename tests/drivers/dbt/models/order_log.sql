{{ config(materialized='incremental', unique_key='id') }}
select id, region, amount from {{ source('shop', 'orders') }}
{% if is_incremental() %}
where id > (select coalesce(max(id), 0) - 10 from {{ this }})
{% endif %}
