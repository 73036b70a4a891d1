{{ config(materialized='table', indexes=[{'columns': ['id'], 'unique': true}]) }}
select id, customer_id, region, status, amount, ordered_on, note from {{ source('shop', 'orders') }}
