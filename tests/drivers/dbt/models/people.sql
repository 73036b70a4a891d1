{{ config(materialized='view') }}
select id, name, ssn, salary from {{ source('shop', 'employees') }}
