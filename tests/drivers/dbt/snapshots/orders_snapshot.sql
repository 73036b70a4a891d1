{% snapshot orders_snapshot %}
{{ config(target_schema='marts', unique_key='id', strategy='check', check_cols=['amount']) }}
select id, region, amount from {{ ref('own_orders') }} where id < 200
{% endsnapshot %}
