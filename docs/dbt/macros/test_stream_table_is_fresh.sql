{#- Fails if the stream table is no stream table, does not run, fails to refresh, or shows data older than `within` although
    its sources have changed since. -#}
{% test stream_table_is_fresh(model, within='5 minutes') %}
  {%- set name = pg_trickle.literal(pg_trickle.qualified_name(model)) -%}
  select coalesce(s.status, 'NO STREAM TABLE') as status, s.consecutive_errors, s.last_error, s.data_timestamp
    from (select to_regclass({{ name }}) as relid) wanted
    left join pgtrickle.pgt_stream_tables t on t.pgt_relid = wanted.relid
    left join pgtrickle.pgt_status() s on to_regclass(s.name) = wanted.relid
   where t.pgt_id is null
      or s.status <> 'ACTIVE'
      or s.consecutive_errors > 0
      or (t.pgt_id in (select pgtrickle.stale_stream_tables())
          and s.data_timestamp < now() - interval '{{ within }}')
{% endtest %}
